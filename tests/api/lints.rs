//! Promises that no compiler keeps: how tables are built, how SQL is written, who knows whom.

mod catalog;
mod constraints;
mod imports;
mod migrations;
pub mod pg;
mod source;
mod sql;
