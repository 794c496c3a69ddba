//! Bad input gets Kubernetes' own error and loses nothing.
//!
//! The tests stand in the order of the list that they prove, and each proves both halves: the exact answer (of ours, and
//! of the real kubectl where there is one, against the same server), and that nothing was lost: what there was is
//! unchanged, the server answers, and no stream, watch, request or connection is left. How many there are is asked of the
//! server itself (`/metrics`) and of the system (`/proc`).

mod answers;
mod fixture;
mod http;
mod hung_up;
mod slow_watch;
mod wire;

use answers::check;

#[test]
fn broken_yaml() {
    check(include_str!("answers/broken_yaml.txt"));
}

#[test]
fn unknown_kinds_and_fields() {
    check(include_str!("answers/unknown_kinds_and_fields.txt"));
}

#[test]
fn wrong_api_version() {
    check(include_str!("answers/wrong_api_version.txt"));
}

#[test]
fn invalid_names() {
    check(include_str!("answers/invalid_names.txt"));
}

#[test]
fn immutable_fields() {
    check(include_str!("answers/immutable_fields.txt"));
}

#[test]
fn conflicts() {
    check(include_str!("answers/conflicts.txt"));
}

#[test]
fn oversized_bodies() {
    check(include_str!("answers/oversized_bodies.txt"));
}

// `slow_watch`: a watch that falls behind.

#[test]
fn malformed_selectors_and_templates() {
    check(include_str!("answers/malformed_selectors_and_templates.txt"));
}

// `hung_up`: a client that hangs up mid-stream, kubectl killed mid-exec. `wire` and `http`: what is no kubectl's doing.
