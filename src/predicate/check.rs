//! Holds a predicate against the catalog of its resource and names everything that does not fit.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::catalog::{Catalog, Kind};
use super::operand::{self, Target};
use super::tree::{Checked, Node, Place};
use super::{MAX_CLAUSES, MAX_DEPTH, MAX_TEXT_CHARS, Predicate};
use crate::error::{Error, FieldError};
use crate::values::json::has_nul;

/// What a predicate is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Where the predicate lies in the body, as a JSON Pointer (`#/where`).
    pub pointer: &'a str,
    pub catalog: &'static Catalog,
    /// Kinds of the keys of the free column that have a definition.
    pub attribute_kinds: &'a HashMap<String, Kind>,
    /// The present, which `within` counts from.
    pub now: DateTime<Utc>,
}

impl Predicate {
    /// Checks names, operators, values and size against a resource.
    ///
    /// # Errors
    /// 422 with every fault: `empty_predicate`, `ambiguous_predicate`, `unknown_field`,
    /// `invalid_operator`, `invalid_value`, `too_deep`, `too_many_clauses`.
    pub fn check(&self, context: &Context<'_>) -> Result<Checked, Error> {
        let mut check = Check { context, clauses: 0, faults: Vec::new() };
        let scope = Scope { catalog: context.catalog, depth: 1 };
        match check.predicate(self, scope, context.pointer) {
            Some(node) if check.faults.is_empty() => Ok(Checked { node }),
            _ => Err(Error::invalid(check.faults)),
        }
    }
}

/// The state of one check. Its functions give `None` only after they noted a fault.
pub(super) struct Check<'a> {
    pub context: &'a Context<'a>,
    clauses: usize,
    faults: Vec<FieldError>,
}

/// Whose fields a part of the predicate asks about, and how deep it lies.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    pub catalog: &'static Catalog,
    pub depth: usize,
}

impl Scope {
    pub fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl Check<'_> {
    pub fn predicate(&mut self, part: &Predicate, scope: Scope, pointer: &str) -> Option<Node> {
        if scope.depth > MAX_DEPTH {
            self.count(pointer)?;
            let detail = format!("at most {MAX_DEPTH} levels are allowed");
            return self.fault(pointer, "too_deep", detail);
        }
        if forms(part) != 1 {
            return self.formless(part, pointer);
        }
        if let Some(parts) = &part.all {
            self.parts(parts, scope, &format!("{pointer}/all")).map(Node::All)
        } else if let Some(parts) = &part.any {
            self.parts(parts, scope, &format!("{pointer}/any")).map(Node::Any)
        } else if let Some(part) = &part.not {
            let node = self.predicate(part, scope.deeper(), &format!("{pointer}/not"))?;
            Some(Node::Not(Box::new(node)))
        } else if let Some(did) = &part.did {
            self.did(did, scope, &format!("{pointer}/did"))
        } else {
            self.clause(part, scope, pointer)
        }
    }

    fn formless(&mut self, part: &Predicate, pointer: &str) -> Option<Node> {
        self.count(pointer)?;
        let is_empty = forms(part) == 0;
        let code = if is_empty { "empty_predicate" } else { "ambiguous_predicate" };
        self.fault(pointer, code, "give exactly one of `all`, `any`, `not`, `field` and `did`")
    }

    fn parts(&mut self, parts: &[Predicate], scope: Scope, pointer: &str) -> Option<Vec<Node>> {
        if parts.is_empty() {
            self.count(pointer)?;
            return self.fault(pointer, "empty_predicate", "the list needs at least one predicate");
        }
        let mut nodes = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            nodes.push(self.predicate(part, scope.deeper(), &format!("{pointer}/{i}")));
            if self.clauses > MAX_CLAUSES {
                return None;
            }
        }
        nodes.into_iter().collect()
    }

    fn clause(&mut self, clause: &Predicate, scope: Scope, pointer: &str) -> Option<Node> {
        self.count(pointer)?;
        let target = clause.field.as_ref().and_then(|name| self.target(name, scope.catalog));
        let Some(target) = target else {
            let detail = "there is no field of this name that can be asked about";
            return self.fault(&format!("{pointer}/field"), "unknown_field", detail);
        };
        let Some(op) = clause.op else {
            return self.fault(&format!("{pointer}/op"), "invalid_operator", "`op` is required");
        };
        match operand::node(target, op, clause.value.as_ref(), self.context.now) {
            Ok(node) => Some(node),
            Err(fault) => {
                self.fault(&format!("{pointer}{}", fault.pointer), fault.code, fault.detail)
            }
        }
    }

    fn target(&self, name: &str, catalog: &'static Catalog) -> Option<Target> {
        let Some(field) = catalog.field(name) else { return self.free_key(name, catalog) };
        let (name, column, kind) = (field.name, field.column, field.kind);
        let place = Place { name, column, keys: Vec::new(), kind };
        Some(Target { place, is_defined: true })
    }

    fn free_key(&self, name: &str, catalog: &'static Catalog) -> Option<Target> {
        let free = catalog.free?;
        let path = name.strip_prefix(free.name)?.strip_prefix('.')?;
        if !is_text(path) || path.split('.').any(str::is_empty) {
            return None;
        }
        let is_own = std::ptr::eq(catalog, self.context.catalog);
        let kind = is_own.then(|| self.context.attribute_kinds.get(path)).flatten();
        let place = Place {
            name: free.name,
            column: free.column,
            keys: path.split('.').map(String::from).collect(),
            kind: kind.map_or(Kind::Text, Kind::in_json),
        };
        Some(Target { place, is_defined: kind.is_some() })
    }

    /// Counts one clause; beyond the limit nothing is looked at any more.
    pub fn count(&mut self, pointer: &str) -> Option<()> {
        self.clauses += 1;
        if self.clauses == MAX_CLAUSES + 1 {
            let detail = format!("at most {MAX_CLAUSES} clauses are allowed");
            return self.fault(pointer, "too_many_clauses", detail);
        }
        (self.clauses <= MAX_CLAUSES).then_some(())
    }

    pub fn fault<T>(
        &mut self,
        pointer: &str,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Option<T> {
        self.faults.push(FieldError::at(pointer, code, detail));
        None
    }
}

/// In how many forms the predicate is written; one is right.
fn forms(part: &Predicate) -> usize {
    let is_clause = part.field.is_some() || part.op.is_some() || part.value.is_some();
    let forms = [part.all.is_some(), part.any.is_some(), part.not.is_some(), part.did.is_some()];
    forms.into_iter().chain([is_clause]).filter(|is_given| *is_given).count()
}

/// Whether a text can be looked for at all.
pub(super) fn is_text(text: &str) -> bool {
    !text.is_empty() && !has_nul(text) && text.chars().count() <= MAX_TEXT_CHARS
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::catalog::{DidColumns, Field, FreeColumn, TOUCHPOINT_FIELDS};
    use super::*;

    static CATALOG: Catalog = Catalog {
        fields: &[
            Field { name: "email", column: "t.email", kind: Kind::Folded },
            Field { name: "stage", column: "t.stage", kind: Kind::Enum(&["lead", "customer"]) },
            Field { name: "score", column: "t.score", kind: Kind::Integer },
            Field { name: "vip", column: "t.vip", kind: Kind::Boolean },
            Field { name: "tags", column: "t.tags", kind: Kind::TextArray },
            Field { name: "at", column: "t.at", kind: Kind::Time },
            Field { name: "owner_id", column: "t.owner_id", kind: Kind::Id },
        ],
        free: Some(FreeColumn { name: "attributes", column: "t.attributes" }),
        did: Some(DidColumns { workspace_id: "t.workspace_id", customer_id: "t.id" }),
    };
    static TOUCHPOINTS: Catalog = Catalog { fields: TOUCHPOINT_FIELDS, free: None, did: None };

    fn check(predicate: &Value, catalog: &'static Catalog) -> Result<Checked, Error> {
        let predicate: Predicate = serde_json::from_value(predicate.clone()).unwrap();
        let now = "2024-05-01T00:00:00Z".parse().unwrap();
        let attribute_kinds = &HashMap::from([("day".to_string(), Kind::Date)]);
        predicate.check(&Context { pointer: "#/where", catalog, attribute_kinds, now })
    }

    /// `pointer code` of every fault.
    fn faults(predicate: Value) -> Vec<String> {
        let error = check(&predicate, &CATALOG).expect_err(&predicate.to_string());
        assert_eq!(error.status(), 422);
        let rejection = error.rejection();
        let show = |e: &FieldError| format!("{} {}", e.pointer.clone().unwrap_or_default(), e.code);
        rejection.errors.iter().map(show).collect()
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        let predicate = json!({"all": [
            {"field": "salary", "op": "eq", "value": 1},
            {"any": [{"field": "vip", "op": "contains", "value": "x"}, {}]},
            {"not": {"field": "score", "op": "in", "value": [1, "2"]}},
            {"field": "email", "op": "eq", "any": []},
            {"field": "email", "value": "x"},
            {"all": []},
            {"did": {"type": "", "at_least": 2, "at_most": 1, "within": "90 days",
                "where": {"field": "email", "op": "eq", "value": "x"}}},
        ]});
        let expected = [
            "#/where/all/0/field unknown_field",
            "#/where/all/1/any/0/op invalid_operator",
            "#/where/all/1/any/1 empty_predicate",
            "#/where/all/2/not/value/1 invalid_value",
            "#/where/all/3 ambiguous_predicate",
            "#/where/all/4/op invalid_operator",
            "#/where/all/5/all empty_predicate",
            "#/where/all/6/did/type invalid_value",
            "#/where/all/6/did/at_most invalid_value",
            "#/where/all/6/did/within invalid_value",
            "#/where/all/6/did/where/field unknown_field",
        ];
        assert_eq!(faults(predicate), expected);
    }

    #[test]
    fn a_value_must_be_of_the_kind_of_its_field() {
        let refused = [
            ("email", "eq", json!(1)),
            ("email", "eq", json!(null)),
            ("email", "contains", json!("")),
            ("email", "eq", json!("a\u{0}")),
            ("email", "eq", json!("x".repeat(1001))),
            ("stage", "eq", json!("loyal")),
            ("score", "eq", json!(1.5)),
            ("score", "eq", json!("1")),
            ("vip", "eq", json!("true")),
            ("owner_id", "eq", json!("ann")),
            ("at", "within", json!("P")),
            ("at", "gt", json!("2024-05-01")),
            ("at", "gt", json!("0000-01-01T00:00:00Z")),
            ("at", "within", json!("P200Y")),
            ("tags", "contains", json!(["red"])),
            ("email", "exists", json!("yes")),
            ("score", "between", json!([1])),
            ("score", "between", json!(1)),
            ("score", "in", json!([])),
            ("score", "in", json!(1)),
            ("score", "in", json!(vec![1; 501])),
            ("attributes.x", "eq", json!(1e300)),
            ("attributes.x", "eq", json!({"a": 1})),
            ("attributes.x", "in", json!([1, "a"])),
            ("attributes.day", "eq", json!("soon")),
            ("attributes.x", "gt", json!("soon")),
        ];
        for (field, op, value) in refused {
            let clause = json!({"field": field, "op": op, "value": value});
            let found = faults(clause.clone());
            assert!(found[0].starts_with("#/where/value"), "{clause}");
            assert!(found[0].ends_with(" invalid_value") && found.len() == 1, "{clause}");
        }
        assert!(
            check(&json!({"field": "score", "op": "in", "value": vec![1; 500]}), &CATALOG).is_ok()
        );
    }

    #[test]
    fn an_operator_must_suit_its_field() {
        let pairs = [
            ("email", "gt"),
            ("vip", "in"),
            ("tags", "eq"),
            ("score", "contains"),
            ("owner_id", "starts_with"),
            ("at", "in"),
            ("score", "within"),
            ("attributes.day", "in"),
        ];
        for (field, op) in pairs {
            let clause = json!({"field": field, "op": op, "value": "x"});
            assert_eq!(faults(clause), ["#/where/op invalid_operator"], "{field} {op}");
        }
    }

    #[test]
    fn five_levels_and_fifty_clauses_are_allowed_and_no_more() {
        let clause = json!({"field": "vip", "op": "eq", "value": true});
        let nested = |n| (1..n).fold(clause.clone(), |inner, _| json!({"not": inner}));
        assert!(check(&nested(5), &CATALOG).is_ok());
        assert_eq!(faults(nested(6)), [format!("#/where{} too_deep", "/not".repeat(5))]);
        let within = json!({"did": {"type": "t", "where": {"field": "name", "op": "exists"}}});
        assert_eq!(faults((1..5).fold(within, |inner, _| json!({"not": inner}))).len(), 1);
        let wide = |n| json!({"any": vec![clause.clone(); n]});
        assert!(check(&wide(50), &CATALOG).is_ok());
        assert_eq!(faults(wide(51)), ["#/where/any/50 too_many_clauses"]);
        assert_eq!(faults(json!({"any": vec![json!({}); 9999]})).len(), 51);
    }

    #[test]
    fn what_touchpoints_count_cannot_count_again() {
        let did = json!({"did": {"type": "t"}});
        assert_eq!(
            faults(json!({"did": {"type": "t", "where": did}})),
            ["#/where/did/where/did invalid_operator"]
        );
        assert!(check(&did, &TOUCHPOINTS).is_err());
        assert_eq!(
            faults(json!({"did": {"type": "t", "at_least": 0}})),
            ["#/where/did/at_least invalid_value"]
        );
    }

    #[test]
    fn a_free_key_needs_a_name() {
        for field in
            ["attributes", "attributes.", "attributes.a..b", "attributesx.a", "attributes.\u{0}"]
        {
            let clause = json!({"field": field, "op": "exists"});
            assert_eq!(faults(clause), ["#/where/field unknown_field"], "{field}");
        }
        let clause = json!({"field": "attributes.x", "op": "exists"});
        assert!(check(&clause, &TOUCHPOINTS).is_err());
    }
}
