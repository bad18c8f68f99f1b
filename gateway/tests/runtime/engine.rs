//! The engine under both pollers, over loopback, with a machine that does what its clients tell it.

use crate::puppet::{BURST, DRIVERS, Ended, FLOOD, KILOBYTES, STALL, Server, ask, flood_byte};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidegate::runtime::IoDriver;
use tidegate_core::shard::StreamEnd;

fn on_both(cores: u16, test: impl Fn(&Server)) {
    for driver in DRIVERS {
        let server = Server::start(driver, cores);
        test(&server);
        server.workers.stop();
    }
}

#[test]
fn the_driver_is_the_one_that_was_asked_for() {
    let drivers = DRIVERS.map(|driver| {
        let server = Server::start(driver, 1);
        let used = server.workers.driver();
        assert!(server.workers.io_uring_refused().is_none());
        server.workers.stop();
        used
    });
    assert_eq!(drivers, [IoDriver::IoUring, IoDriver::Epoll]);
}

#[test]
fn one_byte_comes_back() {
    on_both(1, |server| {
        let mut client = server.connect();
        client.write_all(b"e").unwrap();
        for _ in 0..100 {
            assert_eq!(ask(&mut client, b"x", 1), b"x");
        }
    });
}

#[test]
fn a_megabyte_comes_back_whole() {
    on_both(1, |server| {
        let mut client = server.connect();
        let data: Vec<u8> = (0..1 << 20).map(flood_byte).collect();
        let mut writer = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(b"e").unwrap();
                writer.write_all(&data).unwrap();
            });
            let mut got = vec![0; data.len()];
            client.read_exact(&mut got).unwrap();
            assert!(got == data);
        });
    });
}

#[test]
fn five_hundred_connections_get_fifty_answers_each() {
    on_both(2, |server| {
        let mut clients: Vec<TcpStream> = (0..500).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.write_all(b"e").unwrap();
        }
        for round in 0..50u8 {
            for client in &mut clients {
                client.write_all(&[round; 64]).unwrap();
            }
            for client in &mut clients {
                let mut answer = [0; 64];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [round; 64]);
            }
        }
        let stats = server.workers.control().stats(Duration::from_secs(10));
        assert_eq!(stats.len(), 2);
        assert_eq!(stats.iter().map(|worker| worker.driver.streams).sum::<u64>(), 500);
        assert_eq!(stats.iter().map(|worker| worker.driver.accepted).sum::<u64>(), 500);
        assert!(stats.iter().all(|worker| worker.driver.turn_times.count() > 0), "both cores took part");
    });
}

#[test]
fn the_end_of_a_stream_is_reported_and_leaves_nothing_behind() {
    on_both(1, |server| {
        for _ in 0..50 {
            let mut client = server.connect();
            assert_eq!(ask(&mut client, b"w", 1), b"0");
            drop(client);
            assert_eq!(server.ended.recv_timeout(Duration::from_secs(10)), Ok(Ended(StreamEnd::Eof)));
        }
        let stats = server.workers.control().stats(Duration::from_secs(10));
        assert_eq!(stats[0].driver.streams, 0);
    });
}

#[test]
fn bytes_that_came_with_a_fin_are_handled_before_the_end() {
    on_both(1, |server| {
        for _ in 0..50 {
            let mut client = server.connect();
            client.write_all(b"w").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"0");
            assert_eq!(server.ended.recv_timeout(Duration::from_secs(10)), Ok(Ended(StreamEnd::Eof)));
        }
    });
}

#[test]
fn a_peer_sees_the_servers_fin_after_the_last_bytes() {
    on_both(1, |server| {
        for _ in 0..50 {
            let mut client = server.connect();
            client.write_all(b"c").unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"bye");
        }
    });
}

#[test]
fn a_peer_sees_at_once_that_the_server_has_closed() {
    on_both(1, |server| {
        for _ in 0..50 {
            let mut client = server.connect();
            client.write_all(b"C").unwrap();
            assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
        }
    });
}

#[test]
fn a_slow_reader_gets_everything_once_it_reads() {
    on_both(1, |server| {
        let mut slow = server.connect();
        slow.write_all(b"f").unwrap();
        // The server serves others although the slow one's buffers are full.
        let mut other = server.connect();
        other.write_all(b"e").unwrap();
        for _ in 0..100 {
            ask(&mut other, b"still here", 10);
        }
        let mut got = vec![0; FLOOD];
        slow.read_exact(&mut got).unwrap();
        assert!(got.iter().enumerate().all(|(index, &byte)| byte == flood_byte(index)));
    });
}

#[test]
fn a_peer_that_goes_away_with_its_buffers_full_is_an_error() {
    on_both(1, |server| {
        let mut client = server.connect();
        client.write_all(b"f").unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 1);
        drop(client);
        assert_eq!(server.ended.recv_timeout(Duration::from_secs(10)), Ok(Ended(StreamEnd::Error)));
    });
}

#[test]
fn a_pause_ends_at_its_deadline_and_loses_nothing() {
    on_both(1, |server| {
        let mut client = server.connect();
        for _ in 0..20 {
            assert_eq!(ask(&mut client, b"p", 1), b"p");
            // This is there before the pause ends, and reported only once.
            assert_eq!(ask(&mut client, b"w", 1), b"0");
        }
    });
}

#[test]
fn a_moved_connection_goes_on_where_it_was() {
    on_both(2, |server| {
        let mut client = server.connect();
        let mut core = ask(&mut client, b"w", 1);
        for _ in 0..100 {
            assert_eq!(ask(&mut client, b"m", 5), b"moved");
            let next = ask(&mut client, b"w", 1);
            assert_ne!(core, next);
            core = next;
        }
        drop(client);
        assert_eq!(server.ended.recv_timeout(Duration::from_secs(10)), Ok(Ended(StreamEnd::Eof)));
        let stats = server.workers.control().stats(Duration::from_secs(10));
        assert_eq!(stats.iter().map(|worker| worker.driver.streams).sum::<u64>(), 0);
    });
}

#[test]
fn two_hundred_thousand_messages_bounce_between_two_cores_without_a_lost_wake_up() {
    on_both(2, |server| {
        // One ball from each core at the same time, so that sleeping and waking meet in every way.
        let mut clients = server.connect_to_each(2);
        for client in &mut clients {
            client.write_all(b"r").unwrap();
        }
        for client in &mut clients {
            let mut answer = [0];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"R");
        }
    });
}

#[test]
fn more_messages_than_mailboxes_hold_are_all_answered_in_both_directions_at_once() {
    on_both(2, |server| {
        let mut clients = server.connect_to_each(2);
        for _ in 0..5 {
            for client in &mut clients {
                client.write_all(b"b").unwrap();
            }
            for client in &mut clients {
                let mut answer = [0];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(&answer, b"B");
            }
        }
        let stats = server.workers.control().stats(Duration::from_secs(10));
        assert!(stats.iter().all(|worker| worker.core.mailbox_backlog == 0), "{BURST} per burst have left");
    });
}

#[test]
fn what_a_client_learned_on_one_core_has_reached_the_other_before_the_client_does() {
    on_both(2, |server| {
        let mut clients = server.connect_to_each(2);
        for expected in 1..=5000u32 {
            assert_eq!(ask(&mut clients[0], b"k", 1), b"k");
            assert_eq!(ask(&mut clients[1], b"q", 4), expected.to_be_bytes());
        }
    });
}

#[test]
fn a_broadcast_reaches_more_clients_than_one_pass_writes_to() {
    on_both(1, |server| {
        let mut clients: Vec<TcpStream> = (0..1500).map(|_| server.connect()).collect();
        // The last one is in, so all are.
        assert_eq!(ask(clients.last_mut().unwrap(), b"w", 1), b"0");
        clients[0].write_all(b"aaa").unwrap();
        for client in &mut clients {
            let mut answer = [0; 3];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"aaa");
        }
    });
}

#[test]
fn a_newcomer_is_served_while_others_keep_the_core_busy() {
    on_both(1, |server| {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let mut busy = server.connect();
                busy.write_all(b"e").unwrap();
                let mut reader = busy.try_clone().unwrap();
                scope.spawn(|| {
                    let mut busy = busy;
                    while !done.load(Ordering::Relaxed) {
                        busy.write_all(&[7; 64 * 1024]).unwrap();
                    }
                    busy.shutdown(Shutdown::Write).unwrap();
                });
                scope.spawn(move || while reader.read(&mut [0; 64 * 1024]).unwrap() > 0 {});
            }
            for _ in 0..100 {
                ask(&mut server.connect(), b"w", 1);
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

/// Asks for a number.
fn number(client: &mut TcpStream, command: &[u8]) -> u64 {
    u64::from_be_bytes(ask(client, command, 8).try_into().unwrap())
}

#[test]
fn a_client_that_says_little_does_not_wait_for_all_that_others_have_to_say() {
    on_both(1, |server| {
        let mut light = server.connect();
        ask(&mut light, b"w", 1);
        let floods: Vec<_> = (0..64).map(|_| server.connect()).collect();
        std::thread::scope(|scope| {
            for mut flood in &floods {
                scope.spawn(move || {
                    flood.write_all(b"d").unwrap();
                    while flood.write(&[0; 64 * 1024]).is_ok() {}
                });
            }
            // All are under way.
            while number(&mut light, b"D") < 64 << 20 {}
            let first: Vec<u64> = (0..9)
                .map(|_| {
                    let before = number(&mut light, b"D");
                    // While the core does nothing, everybody's bytes pile up, and the question comes last.
                    light.write_all(b"s").unwrap();
                    std::thread::sleep(STALL / 2);
                    number(&mut light, b"D") - before
                })
                .collect();
            for flood in &floods {
                flood.shutdown(Shutdown::Both).unwrap();
            }
            // A question can be late for reasons of the machine's, so the luckiest counts: without turns, even that one
            // waits for everything that has piled up.
            assert!(first.iter().any(|&bytes| bytes < 4 << 20), "bytes of others that came first: {first:?}");
        });
    });
}

#[test]
fn what_another_core_tells_at_once_is_written_in_between() {
    on_both(2, |server| {
        let mut clients = server.connect_to_each(2);
        let [mut teller, mut listener] = [clients.remove(0), clients.remove(0)];
        ask(&mut listener, b"l", 1);
        // The mailbox fills while its owner does not look.
        listener.write_all(b"s").unwrap();
        std::thread::sleep(STALL / 2);
        teller.write_all(b"t").unwrap();
        let mut kilobytes = vec![0; KILOBYTES * 1000];
        listener.read_exact(&mut kilobytes).unwrap();
        let peak = number(&mut listener, b"T");
        assert!(peak <= 500, "{peak} of {KILOBYTES} kilobytes piled up before a write");
    });
}

#[test]
fn over_the_limit_a_client_is_told_and_a_place_that_is_free_again_is_given_away() {
    for driver in DRIVERS {
        let server = Server::start_with(driver, 2, 10);
        let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
        for client in &mut clients {
            ask(client, b"w", 1);
        }
        let mut answer = String::new();
        server.connect().read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        clients.pop();
        server.ended.recv_timeout(Duration::from_secs(10)).unwrap();
        // The place is free once the stats, which come after the close, are there.
        let stats = server.workers.control().stats(Duration::from_secs(10));
        assert_eq!(stats.iter().map(|worker| worker.driver.refused_over_limit).sum::<u64>(), 1);
        ask(&mut server.connect(), b"w", 1);
        server.workers.stop();
    }
}

#[test]
fn a_drain_ends_connections_and_workers_and_frees_the_port() {
    for driver in DRIVERS {
        let server = Server::start(driver, 2);
        let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
        for client in &mut clients {
            ask(client, b"w", 1);
        }
        assert!(server.workers.drain(Duration::from_secs(10)));
        for client in &mut clients {
            assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
        }
        let refused = TcpStream::connect(server.address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
