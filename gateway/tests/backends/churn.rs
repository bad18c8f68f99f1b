//! Backends that come and go all the time cost nothing that lasts. Needs the machine for itself.

use super::app::App;
use super::client::{Client, Kind, wait};
use super::rig::{Plan, within};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CYCLES: usize = 200;
/// After so many cycles memory has grown as far as it will, but for fragments.
const WARM_UP: usize = 60;
const GROWTH: u64 = 8 << 20;
/// Between two events of a client, if nothing comes.
const PACE: Duration = Duration::from_millis(5);

/// Has clients talk, some of them joining and leaving, until it is told to stop. Nobody's event needs an answer:
/// those that a backend takes into its grave are lost.
fn talk(url: &str, stop: &AtomicBool) -> usize {
    let kind = |index: usize| if index.is_multiple_of(4) { Kind::Polling } else { Kind::WebSocket };
    let mut clients: Vec<Client> = (0..16).map(|index| Client::ask(url, kind(index), "/").joined()).collect();
    let mut heard = 0;
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        for client in &mut clients {
            if client.is_flushed() {
                client.send(format!(r#"42["e",{round}]"#));
            }
            client.work();
            assert_eq!(client.end, None);
            heard += client.forget();
        }
        if round % 20 == 0 {
            let index = round / 20 % clients.len();
            clients[index].say("1");
            clients[index] = Client::ask(url, kind(index), "/").joined();
        }
        wait(&clients.iter().collect::<Vec<_>>(), Instant::now() + PACE);
    }
    // Of one on polling that just goes the gateway hears nothing for a while.
    clients.iter_mut().for_each(|client| client.say("1"));
    heard
}

#[test]
fn two_hundred_backends_that_come_and_go_under_load_leave_nothing_behind() {
    within(110, || {
        let mut rig = Plan::cores(2).start();
        let (gauges, files) = (rig.gauges(), rig.files());
        let mut apps = [(); 2].map(|()| App::start(&rig.path, &["/"]));
        let stop = AtomicBool::new(false);
        let mut warm = 0;
        let heard = std::thread::scope(|scope| {
            let url = rig.url().to_owned();
            let stop = &stop;
            let load = scope.spawn(move || talk(&url, stop));
            for cycle in 0..CYCLES {
                let gone = std::mem::replace(&mut apps[cycle % 2], App::start(&rig.path, &["/"]));
                if cycle % 4 < 2 {
                    gone.kill();
                } else {
                    gone.leave();
                }
                if cycle == WARM_UP {
                    warm = rig.memory();
                }
            }
            let grown = rig.memory().saturating_sub(warm);
            stop.store(true, Ordering::Relaxed);
            assert!(grown < GROWTH, "{grown} bytes more than after {WARM_UP} cycles");
            load.join().unwrap()
        });
        assert!(heard > 1000, "{heard} events came back");
        apps.into_iter().for_each(App::kill);
        rig.wait_for_the_start(&gauges, files);
        assert!(rig.metric("tidegate_backend_adopted_total") > 16.0 * 50.0);
        rig.stop();
    });
}
