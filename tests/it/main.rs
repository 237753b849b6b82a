//! The real binary, driven from outside: one module a theme, and what they share.

#![expect(clippy::unwrap_used, reason = "tests")]

mod bad_http;
mod bad_input;
mod bandit_data;
mod captures;
mod client;
mod command_line;
mod config;
mod cross_origin;
mod damage;
mod devdata;
mod dialects;
mod durability;
mod editor;
mod foreign_logs;
mod full_disk;
mod keys;
mod kinds;
mod learning;
mod leaving;
mod live_clients;
mod models;
mod outcomes;
mod passthrough;
mod patience;
mod policies;
mod publishing;
mod raw;
mod recorded_fates;
mod records;
mod replay;
mod restart;
mod server;
mod serving;
mod setting;
mod smuggling;
mod tidy;
mod upstream;
mod upstreams;
mod with_arm;
