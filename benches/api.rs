//! How fast the API server answers in process: create, get, and lists of 500, with no socket and no TLS.
//!
//! `cargo bench --bench api`. The load over HTTPS from several connections is a row of its own in the design's numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use k8s_learn::cluster::{Cluster, ClusterConfig, Component};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;

/// How many objects a list has.
const LISTED: u64 = 500;

fn config_map(name: String) -> ConfigMap {
    let made = serde_json::from_value(json!({"metadata": {"name": name}, "data": {"key": "value"}}));
    made.expect("the manifest is sound")
}

fn requests(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    // Nothing but the API server: what its clients do is measured elsewhere.
    let without = Component::ALL.to_vec();
    let config = ClusterConfig { nodes: 0, without, ..ClusterConfig::default() };
    let cluster = runtime.block_on(Cluster::start(config)).expect("the configuration is sound");
    // The client's queue is a task of the runtime.
    let _inside = runtime.enter();
    let config_maps = Api::<ConfigMap>::namespaced(cluster.admin(), "kube-public");
    let next = AtomicU64::new(0);
    let create = || async {
        let name = format!("c-{}", next.fetch_add(1, Ordering::Relaxed));
        config_maps.create(&PostParams::default(), &config_map(name)).await.expect("the name is new")
    };
    runtime.block_on(async {
        for _ in 0..LISTED {
            create().await;
        }
    });
    let mut group = c.benchmark_group("in process");
    group.bench_function("get", |b| {
        b.to_async(&runtime).iter(|| async { config_maps.get("c-7").await.expect("it was created") });
    });
    group.throughput(Throughput::Elements(LISTED));
    group.bench_function("list of 500", |b| {
        let params = ListParams::default().limit(LISTED as u32);
        b.to_async(&runtime)
            .iter(|| async { config_maps.list(&params).await.expect("the namespace exists") });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("create", |b| b.to_async(&runtime).iter(create));
    group.finish();
}

criterion_group!(api, requests);
criterion_main!(api);
