//! What carries messages between cores: the queue under `gateway/src/runtime/mesh.rs`, used as there, on one thread.

use crate::Workload;
use crossbeam_channel::bounded;
use std::hint::black_box;
use tidegate_core::shard::ShardMessage;

/// Parcels a mailbox holds.
const CAPACITY: usize = 4096;
/// Something of a message's size.
type Message = [u64; size_of::<ShardMessage>().div_ceil(8)];

pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        Workload::new("mailbox/post_and_take_1", 0, || post_and_take(1)),
        Workload::new("mailbox/post_and_take_64", 0, || post_and_take(64)).of(64, 50),
    ]
}

/// So many parcels in, and all of them out. Per parcel.
fn post_and_take(count: u64) -> impl FnMut() {
    let (sender, receiver) = bounded::<Message>(CAPACITY);
    move || {
        for number in 0..count {
            let message = black_box([number; size_of::<Message>() / 8]);
            sender.try_send(message).expect("there is room");
        }
        for _ in 0..count {
            black_box(receiver.try_recv().expect("it was sent"));
        }
        assert!(receiver.is_empty());
    }
}
