//! The real binary, driven from outside: one module a theme, and what they share.

#![expect(clippy::unwrap_used, reason = "tests")]

mod client;
mod editor;
mod patience;
mod raw;
mod records;
mod replay;
mod server;
mod setting;
mod upstream;

mod bad_http;
mod bad_input;
mod bandit_data;
mod captures;
mod command_line;
mod config;
mod damage;
mod devdata;
mod dialects;
mod durability;
mod foreign_logs;
mod full_disk;
mod keys;
mod kinds;
mod learning;
mod leaving;
mod models;
mod outcomes;
mod passthrough;
mod policies;
mod publishing;
mod python_clients;
mod recorded_fates;
mod restart;
mod serving;
mod tidy;
mod upstreams;
mod with_arm;
