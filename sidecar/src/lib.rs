//! `meshd`, the sidecar of the mesh: the process around the pure core.
//!
//! - [`driver`] owns the core: the clock, the lock, who gets which answer.
//! - [`grpc`] speaks with routers and operators, [`web`] shows things over HTTP.
//! - [`verify`] looks at credentials.
//! - [`amqp`] shares the table with other sidecars.
//! - [`store`] is the disk copy.
//! - [`convert`] is the only place that knows both the protocol and the core.
//! - [`listen`] makes sockets, [`config`] reads settings, [`run`] puts it all
//!   together.
//!
//! `grpc`, `web`, `amqp` and `store` do not know each other; they meet in the driver.
#![forbid(unsafe_code)]

pub mod amqp;
pub mod config;
pub mod convert;
pub mod driver;
pub mod grpc;
pub mod listen;
pub mod log;
pub mod panics;
pub mod run;
pub mod snapshot;
pub mod store;
pub mod verify;
pub mod web;
