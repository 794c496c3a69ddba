//! How fast a whole cluster is: from nothing to Ready, and from a Deployment to its pods.
//!
//! `cargo bench --bench cluster` runs it; `k8s-learn bench` prints the same rows beside the numbers to keep, the process's
//! own start included. Machines are noisy: compare ratios within one run, never one run's times with another's.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use k8s_learn::cluster::{Cluster, ClusterConfig, scenarios};
use k8s_learn::runtime::sim::Pace;
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    Runtime::new().expect("threads can be started")
}

fn config() -> ClusterConfig {
    ClusterConfig { nodes: 3, pace: Pace::Instant, ..ClusterConfig::default() }
}

/// A cluster of three nodes, all Ready.
async fn ready() -> Cluster {
    let cluster = Cluster::start(config()).await.expect("the configuration is sound");
    cluster.ready().await;
    cluster
}

/// A cluster with one replica of `web`.
async fn with_web() -> Cluster {
    let cluster = ready().await;
    scenarios::create_deployment(&cluster, "web", 1).await.expect("the manifest is sound");
    cluster
}

fn start(c: &mut Criterion) {
    let runtime = runtime();
    c.bench_function("start to Ready, 3 nodes", |b| b.to_async(&runtime).iter_with_large_drop(ready));
}

fn one_replica(c: &mut Criterion) {
    let runtime = runtime();
    c.bench_function("one-replica Deployment to Available", |b| {
        b.to_async(&runtime).iter_batched(
            || tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(ready())),
            |cluster| async move {
                scenarios::create_deployment(&cluster, "web", 1).await.expect("the manifest is sound");
                cluster
            },
            BatchSize::PerIteration,
        );
    });
}

fn thirty_more(c: &mut Criterion) {
    let runtime = runtime();
    c.bench_function("30 more replicas", |b| {
        b.to_async(&runtime).iter_batched(
            || tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(with_web())),
            |cluster| async move {
                scenarios::scale_deployment(&cluster, "web", 31).await.expect("the Deployment exists");
                cluster
            },
            BatchSize::PerIteration,
        );
    });
}

criterion_group! {
    name = cluster;
    config = Criterion::default().sample_size(20);
    targets = start, one_replica, thirty_more
}
criterion_main!(cluster);
