//! The simulated runtime: containers that live in this process.
