//! The sandbox shell: the learner's bash on a machine beside the cluster, with kubectl and friends in it.

pub mod completion;
pub mod programs;
pub mod slips;
