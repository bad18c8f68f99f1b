//! Nanoseconds per operation, and bytes per second: `scripts/bench micro [FILTER]`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::time::{Duration, Instant};
use tidegate_micro::{Workload, workloads};

/// The allocator of the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Long enough for a stable median, short enough to run all of them in a few minutes.
const WARM_UP: Duration = Duration::from_millis(300);
const MEASUREMENT: Duration = Duration::from_secs(1);

fn all(criterion: &mut Criterion) {
    workloads().iter().for_each(|workload| measure(criterion, workload));
}

fn measure(criterion: &mut Criterion, workload: &Workload) {
    let (group, name) = workload.name.split_once('/').expect("names are group/what");
    let mut group = criterion.benchmark_group(group);
    group.warm_up_time(WARM_UP).measurement_time(MEASUREMENT);
    group.throughput(match workload.bytes {
        0 => Throughput::Elements(1),
        bytes => Throughput::Bytes(bytes),
    });
    group.bench_function(name, |bencher| {
        let mut call = (workload.prepare)();
        // What criterion counts are operations, however many of them a call does.
        bencher.iter_custom(|operations| {
            let calls = operations.div_ceil(workload.operations.into());
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            let done = calls * u64::from(workload.operations);
            start.elapsed().mul_f64(operations as f64 / done as f64)
        });
    });
    group.finish();
}

criterion_group!(benches, all);
criterion_main!(benches);
