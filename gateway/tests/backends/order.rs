//! What a backend sends takes effect in the order in which it was sent, on every client, whatever its core.

use super::client::{Client, Kind};
use super::fake::{Backend, broadcast, emit, select};
use super::rig::{Plan, within};
use super::seeded::Seeded;
use std::collections::BTreeSet;
use tidegate_core::backend::wire::FromBackend;
use tidegate_core::shard::app::SocketKey;

const CLIENTS: usize = 24;
const ROOMS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
/// What the other backend counts from.
const OTHER: u64 = 1_000_000;
/// The last number of both.
const LAST: u64 = 999_999;

/// One client, and what it must have heard from each backend.
struct Member {
    socket: SocketKey,
    rooms: BTreeSet<usize>,
    expected: Vec<u64>,
    from_other: Vec<u64>,
}

/// The core of a socket.
fn core(socket: SocketKey) -> u16 {
    u16::from_le_bytes(socket.to_bytes()[8..].try_into().unwrap())
}

/// As many clients as there should be, on both cores.
fn join(url: &str, backend: &mut Backend, cores: u16) -> (Vec<Client>, Vec<Member>) {
    let mut clients = Vec::new();
    let mut members: Vec<Member> = Vec::new();
    let spread =
        |members: &[Member]| members.iter().map(|member| core(member.socket)).collect::<BTreeSet<_>>();
    while members.len() < CLIENTS || spread(&members).len() < usize::from(cores) {
        let kind = if members.len() % 4 == 3 { Kind::Polling } else { Kind::WebSocket };
        let client = Client::ask(url, kind, "/");
        let socket = backend.accept().socket;
        clients.push(client.joined());
        members.push(Member { socket, rooms: BTreeSet::new(), expected: Vec::new(), from_other: Vec::new() });
    }
    (clients, members)
}

/// Something the first backend does, written to `batch`, and done to the members, too.
fn act(noise: &mut Seeded, members: &mut [Member], number: u64, batch: &mut Vec<u8>) {
    let one = noise.below(members.len());
    let (room, another) = (noise.below(ROOMS.len()), noise.below(ROOMS.len()));
    let socket = members[one].socket;
    let (rooms, both) = ([ROOMS[room]], [ROOMS[room], ROOMS[another]]);
    let args = number.to_string();
    let frame = match noise.below(10) {
        0..3 => {
            members[one].expected.push(number);
            emit(socket, &args)
        }
        3..5 => {
            let inside = members
                .iter_mut()
                .filter(|member| member.rooms.contains(&room) || member.rooms.contains(&another));
            inside.for_each(|member| member.expected.push(number));
            broadcast("/", &both, &args)
        }
        5 => {
            members.iter_mut().for_each(|member| member.expected.push(number));
            broadcast("/", &[], &args)
        }
        6 | 7 => {
            members[one].rooms.insert(room);
            FromBackend::Join { socket, rooms: rooms[..].into() }
        }
        8 => {
            members[one].rooms.remove(&room);
            FromBackend::Leave { socket, rooms: rooms[..].into() }
        }
        _ => {
            let inside = members.iter_mut().filter(|member| member.rooms.contains(&another));
            inside.for_each(|member| member.rooms.extend([room]));
            let selector = select("/", &both[1..]);
            FromBackend::SocketsJoin { selector, rooms: rooms[..].into() }.encode(batch).unwrap();
            return;
        }
    };
    frame.encode(batch).unwrap();
}

/// The other backend knows of no room, and has no socket; it reaches everybody all the same.
fn act_from_afar(noise: &mut Seeded, members: &mut [Member], number: u64, batch: &mut Vec<u8>) {
    let args = (OTHER + number).to_string();
    let one = noise.below(members.len());
    let frame = if noise.below(3) > 0 {
        members[one].from_other.push(OTHER + number);
        emit(members[one].socket, &args)
    } else {
        members.iter_mut().for_each(|member| member.from_other.push(OTHER + number));
        broadcast("/", &[], &args)
    };
    frame.encode(batch).unwrap();
}

fn everybody_hears_everything_in_order(plan: &Plan, cores: u16) {
    let rig = plan.start();
    let mut first = Backend::serve(&rig.path, &["/"]);
    let (mut clients, mut members) = join(rig.url(), &mut first, cores);
    // At home on the other core, if there is one.
    let mut other = Backend::serve(&rig.path, &["/"]);
    let mut noise = Seeded::new(7);
    let (mut number, mut batch) = (0, Vec::new());
    while number < 4_000 {
        for _ in 0..noise.below(60) {
            number += 1;
            act(&mut noise, &mut members, number, &mut batch);
        }
        first.write(&batch);
        batch.clear();
        if noise.below(3) == 0 {
            (0..5).for_each(|more| act_from_afar(&mut noise, &mut members, number * 8 + more, &mut batch));
            other.write(&batch);
            batch.clear();
        }
    }
    first.broadcast("/", &[], LAST);
    other.broadcast("/", &[], OTHER + LAST);
    for (index, (client, member)) in clients.iter_mut().zip(&members).enumerate() {
        let (mut heard, mut from_other, mut missing) = (Vec::new(), Vec::new(), 2);
        while missing > 0 {
            match client.event() {
                LAST => missing -= 1,
                number if number == OTHER + LAST => missing -= 1,
                number if number >= OTHER => from_other.push(number),
                number => heard.push(number),
            }
        }
        assert_eq!(heard, member.expected, "by client {index}");
        assert_eq!(from_other, member.from_other, "by client {index}, from the other backend");
    }
    drop(clients);
    rig.stop();
}

#[test]
fn clients_of_both_cores_hear_unicasts_and_broadcasts_of_a_backend_in_its_order() {
    within(60, || {
        everybody_hears_everything_in_order(&Plan::cores(1), 1);
        everybody_hears_everything_in_order(&Plan::cores(2), 2);
        everybody_hears_everything_in_order(&Plan::cores(2).on_epoll(), 2);
    });
}
