//! Laws that hold for every value, tried on values that chance makes up: 256 cases each, more with
//! `PROPTEST_CASES`. No database and no service; what chance finds is shrunk and kept in
//! `tests/proptest-regressions`, to be committed with the fix.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bodies;
mod corpus;
mod credentials;
mod identities;
mod json;
mod merge;
mod money;
mod predicates;
mod texts;
mod times;
