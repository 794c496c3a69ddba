//! Tests of the whole: one binary, a module a subject.
#![allow(clippy::unwrap_used)] // A test that cannot go on says so by panicking.

mod api;
mod bad_input;
mod containerd;
mod control_plane;
mod copying;
mod healing;
mod lessons;
mod network;
mod parity;
mod same_seed;
mod storage;
mod transcripts;
mod tui;
