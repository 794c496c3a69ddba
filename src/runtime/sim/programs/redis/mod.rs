//! Redis: strings with expiry and counters over its own protocol, and `redis-cli`.

mod cli;
mod protocol;
mod server;
mod store;

pub(super) use cli::RedisCli;
pub(super) use server::RedisServer;
