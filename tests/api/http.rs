//! HTTP at its edges: what a careless, unlucky or hostile client sends, and what it gets.

mod bodies;
mod conditional;
mod cors;
mod headers;
mod json;
mod lists;
mod paths;
mod platform;
mod rates;
mod smuggling;
mod values;
pub mod wire;
mod words;
