//! The rules for the API document (R1 to R19), so that generated clients are a pleasure to use.
//!
//! Each rule is a function that names every place where it is broken; nothing here knows how the
//! document was made. R20 (the committed document equals the emitted one) is a test of its own.

mod examples;
mod operations;
mod schemas;
mod walk;

use serde_json::Value;

pub use examples::r17;
pub use operations::{r1, r2, r9, r10, r11, r12, r13, r14, r18};
pub use schemas::{r3, r4, r5, r6, r7, r8, r15, r16, r19};

/// Every place where a rule is broken, with the rule's name in front.
pub fn violations(document: &Value) -> Vec<String> {
    type Rule = fn(&Value) -> Vec<String>;
    let rules: [(&str, Rule); 19] = [
        ("R1", r1),
        ("R2", r2),
        ("R3", r3),
        ("R4", r4),
        ("R5", r5),
        ("R6", r6),
        ("R7", r7),
        ("R8", r8),
        ("R9", r9),
        ("R10", r10),
        ("R11", r11),
        ("R12", r12),
        ("R13", r13),
        ("R14", r14),
        ("R15", r15),
        ("R16", r16),
        ("R17", r17),
        ("R18", r18),
        ("R19", r19),
    ];
    let broken = rules.iter().flat_map(|(name, rule)| {
        rule(document).into_iter().map(move |place| format!("{name} {place}"))
    });
    broken.collect()
}
