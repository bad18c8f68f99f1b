//! Hello, credit, and what ends a link (§2, §3, §8).

use crate::gate::{Gate, Link, broadcast, emit, hello, to};
use crate::support::websocket::WebSocket;
use tidegate_core::backend::wire::{FromBackend, List};

/// What is said to a link that has done wrong, if it is all that is said, and the link is closed.
fn refusal(link: &Link) -> String {
    let heard = link.hear();
    assert!(link.conn.is_closed(), "{heard:?}");
    let [refusal] = &heard[..] else { panic!("{heard:?}") };
    refusal.clone()
}

#[test]
fn hello_is_answered_in_the_highest_version_both_know() {
    let gate = Gate::new(1);
    for (lowest, highest) in [(1, 1), (0, 9)] {
        let link = gate.dial(0);
        link.say(&hello(lowest, highest, 1000));
        assert_eq!(link.hear(), ["welcome 1 tidegate"]);
    }
    for (lowest, highest) in [(2, 3), (0, 0), (3, 1)] {
        let link = gate.dial(0);
        link.say(&hello(lowest, highest, 1000));
        let ranges = format!("the gateway speaks version 1, the backend versions {lowest} to {highest}");
        assert_eq!(refusal(&link), format!("refuse 2 {ranges}"));
    }
}

#[test]
fn a_peer_that_does_not_say_hello_is_sent_away() {
    let gate = Gate::new(1);
    for words in
        [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[1, 0, 0, 0, 5], &[5, 0, 0, 0, 1, b'H', b'T', b'T', b'P']]
    {
        let link = gate.dial(0);
        link.conn.send(words);
        assert!(refusal(&link).starts_with("refuse 1 "));
    }
    let silent = gate.dial(0);
    gate.server.advance(9_999);
    assert!(!silent.conn.is_closed());
    gate.server.advance(1);
    assert_eq!(refusal(&silent), "refuse 1 no hello within 10 s");
    let greeted = gate.greeted(0, 1000);
    gate.server.advance(60_000);
    assert!(!greeted.conn.is_closed(), "who has said hello need not serve anything");
    gate.assert_nothing_leaks();
}

#[test]
fn hello_may_come_in_pieces_and_with_more_behind_it() {
    let gate = Gate::new(1);
    let link = gate.dial(0);
    let mut bytes = Vec::new();
    hello(1, 1, 1000).encode(&mut bytes).unwrap();
    FromBackend::Serve { dynamic: false, namespaces: List::from(["/"].as_slice()) }
        .encode(&mut bytes)
        .unwrap();
    link.conn.send_bytewise(&bytes);
    assert_eq!(link.hear(), ["welcome 1 tidegate", "peers 1"]);
}

#[test]
fn hello_comes_once() {
    let gate = Gate::new(1);
    let link = gate.serving(&["/"]);
    link.say(&hello(1, 1, 1000));
    assert_eq!(refusal(&link), "refuse 5 HELLO came twice");
}

#[test]
fn there_are_no_more_links_than_allowed() {
    let gate = Gate::with(2, |_, backend| backend.links_max = 2);
    let first = gate.serving_on(0, &["/"]);
    let _second = gate.serving_on(1, &["/"]);
    let third = gate.dial(1);
    third.say(&hello(1, 1, 1000));
    assert_eq!(refusal(&third), "refuse 3 there are 2 links, as many as may be");
    first.conn.finish();
    gate.serving_on(0, &["/"]);
}

#[test]
fn a_frame_that_breaks_the_page_ends_its_link_and_nothing_else() {
    let gate = Gate::new(2);
    let other = gate.serving_on(1, &["/"]);
    let client = gate.joined_on(1, &other);
    let long = "x".repeat(64 * 1024);
    let data = format!("\"{long}\"");
    let socket = gate.socket(0);
    let bad: [(&[u8], &str); 4] = [
        (&[0, 0, 0, 0], "refuse 5 a frame without a type"),
        (&[1, 0, 0, 0, 0x7f], "refuse 5 no frame to be sent here has the type 7f"),
        (&[1, 0, 0, 0, 0x84], "refuse 5 no frame to be sent here has the type 84"),
        (&[0, 0, 0, 2], "refuse 5 a frame of 33554436 bytes; the limit is 16777216"),
    ];
    for (bytes, expected) in bad {
        let link = gate.serving(&["/"]);
        link.conn.send(bytes);
        assert_eq!(refusal(&link), expected);
    }
    let bad: [(FromBackend<'_>, &str); 4] = [
        (FromBackend::Data { socket, json: &data }, "DATA: length of data is not what it may be"),
        (emit(socket, "\"connect\"", None), "the packet does not begin with the name of an event"),
        (FromBackend::Credit(1), "credit was given for more than was sent"),
        (
            FromBackend::Serve { dynamic: false, namespaces: List::from(["chat"].as_slice()) },
            "a namespace must start with a slash, and must not contain a comma",
        ),
    ];
    for (frame, expected) in bad {
        let link = gate.greeted(0, 1000);
        link.say(&frame);
        assert_eq!(refusal(&link), format!("refuse 5 {expected}"));
    }
    other.hear();
    client.send(r#"42["still here"]"#);
    assert_eq!(other.hear(), [r##"event #0 ["still here"]"##]);
}

#[test]
fn what_was_said_before_a_bad_frame_is_done_and_what_comes_behind_it_is_not() {
    let gate = Gate::new(1);
    let owner = gate.serving(&["/"]);
    let client = gate.joined(&owner);
    let link = gate.greeted(0, 1000);
    let everybody = to("/", &[]);
    link.say_all(&[broadcast(everybody, "\"before\""), hello(1, 1, 1), broadcast(everybody, "\"behind\"")]);
    assert_eq!(client.take(), [r#"42["before"]"#]);
}

#[test]
fn a_backend_that_exceeds_its_window_is_sent_away() {
    let gate = Gate::new(1);
    let link = gate.serving(&["/"]);
    let text = format!("\"{}\"", "x".repeat(1 << 20));
    for _ in 0..3 {
        link.say(&broadcast(to("/", &[]), &text));
    }
    assert_eq!(
        link.hear(),
        ["credit 1048611", "credit 1048611", "credit 1048611"],
        "a quarter of 4 MiB each"
    );
    // Five at once are four too many: the last may exceed the window, and then there must be none.
    link.say_all(&[broadcast(to("/", &[]), &text); 5]);
    let heard = link.hear();
    assert_eq!(heard.last().unwrap(), "refuse 5 a frame that counts was sent without credit");
}

#[test]
fn a_client_waits_for_a_backend_that_gives_no_credit_and_is_read_again_when_it_does() {
    let gate = Gate::with(1, |_, backend| backend.hold_bytes_per_socket = 100);
    let link = gate.starved("/");
    let client = gate.joined(&link);
    for number in 0..10 {
        client.send(&format!(r#"42["event",{number}]"#));
    }
    let held = gate.server.stats().backend.held_bytes;
    assert!((100..200).contains(&held), "{held} bytes are held, and the rest was not read");
    for number in 0..10 {
        link.pay();
        assert_eq!(link.hear(), [format!(r##"event #0 ["event",{number}]"##)]);
    }
    assert_eq!(gate.server.stats().backend.held_bytes, 0);
}

#[test]
fn all_clients_of_a_shard_wait_when_all_together_have_said_too_much() {
    let gate = Gate::with(1, |_, backend| backend.hold_bytes = 150);
    let link = gate.serving(&["/"]);
    let clients: Vec<WebSocket> = (0..4).map(|_| gate.joined(&link)).collect();
    link.conn.reset();
    for client in &clients {
        (0..3).for_each(|number| client.send(&format!(r#"42["{number}"]"#)));
    }
    let held = gate.server.stats().backend.held_bytes;
    assert!((150..350).contains(&held), "{held}");
    let next = gate.serving(&["/"]);
    (0..4).for_each(|socket| next.accept(gate.socket(socket)));
    let heard = next.hear();
    for socket in 0..4 {
        let its_own = heard.iter().filter(|line| line.starts_with(&format!("event #{socket} ")));
        let numbers: Vec<&str> = its_own.map(|line| line.split('"').nth(1).unwrap()).collect();
        assert_eq!(numbers, ["0", "1", "2"]);
    }
}

#[test]
fn a_batch_ends_with_a_tick() {
    let gate = Gate::new(1);
    let link = gate.serving(&["/"]);
    let client = gate.joined(&link);
    client.send_all(&[r#"42["a"]"#, r#"42["b"]"#]);
    assert_eq!(link.hear_all(), [r##"event #0 ["a"]"##, r##"event #0 ["b"]"##, "tick"]);
}
