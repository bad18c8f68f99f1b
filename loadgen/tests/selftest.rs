//! The generator sees what goes wrong. Times have lower bounds only: a busy machine makes a stall longer, never shorter.

use tidegate_loadgen::selftest::selftest;

#[test]
fn stalls_losses_repeats_reorders_damage_and_disconnects_are_all_seen() {
    let checks = selftest().unwrap();
    assert!(checks.len() >= 10);
    let failed: Vec<_> = checks.iter().filter(|check| !check.holds).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
