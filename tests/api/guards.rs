//! What holds for every operation, found by walking the document: a new operation is guarded from
//! the day it is described, and one that cannot be guarded fails here.

mod access;
mod audited;
pub mod calls;
pub mod fixtures;
mod foreign;
mod isolation;
mod limits;
mod methods;
mod parameters;
mod patches;
mod positions;
mod tripwire;
