//! See `tidegate_core_fuzz::TARGETS`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_core_fuzz::backend_wire(data));
