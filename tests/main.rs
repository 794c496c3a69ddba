//! Tests of the whole: one binary, a module a subject.

mod control_plane;
mod healing;
mod parity;
mod same_seed;
mod transcripts;
