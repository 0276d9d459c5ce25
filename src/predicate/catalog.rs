//! What can be asked about a resource: its fields, their columns and what kind of thing they hold.

/// What a field holds, which decides the operators it knows and how it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text as it is.
    Text,
    /// Text whose column holds the `search_key` of what the resource shows; finds any case.
    Folded,
    /// Text out of a closed list.
    Enum(&'static [&'static str]),
    /// Whole number in an `int8` (or smaller) column.
    Integer,
    /// Any number: `numeric` column or JSON number.
    Number,
    Boolean,
    /// Moment: `timestamptz` column, or in JSON a text in RFC 3339 with `Z`.
    Time,
    /// Moment in whole milliseconds, kept as the time of a version 7 `uuid` column.
    IdTime,
    /// Day: `date` column, or in JSON a text `YYYY-MM-DD`.
    Date,
    /// `uuid` column.
    Id,
    /// Set of texts, such as tags: `text[]` column or JSON array.
    TextArray,
}

impl Kind {
    /// The same kind as a key of a `jsonb` column, where nothing is folded or hidden in an id.
    pub(super) fn in_json(&self) -> Self {
        match *self {
            Self::Folded => Self::Text,
            Self::IdTime => Self::Time,
            Self::Integer => Self::Number,
            kind => kind,
        }
    }
}

/// A field that callers may ask about.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Name in predicates, and where the resource's JSON has it (`value.amount`).
    pub name: &'static str,
    /// SQL of the column, with its table.
    pub column: &'static str,
    pub kind: Kind,
}

/// A `jsonb` column whose keys callers may ask about as `<name>.<key>`, keys of keys included.
#[derive(Debug, Clone, Copy)]
pub struct FreeColumn {
    /// Name in predicates and in the resource's JSON (`attributes`).
    pub name: &'static str,
    /// SQL of the column, with its table.
    pub column: &'static str,
}

/// Which columns say whose touchpoints `did` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DidColumns {
    /// SQL of the resource's workspace.
    pub workspace_id: &'static str,
    /// SQL of the customer that the resource is or belongs to.
    pub customer_id: &'static str,
}

/// Everything that can be asked about one resource.
#[derive(Debug)]
pub struct Catalog {
    pub fields: &'static [Field],
    pub free: Option<FreeColumn>,
    /// Absent where `did` makes no sense.
    pub did: Option<DidColumns>,
}

impl Catalog {
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// What can be asked about a touchpoint anywhere; `did.where` asks it too.
pub const TOUCHPOINT_FIELDS: &[Field] = &[
    Field { name: "channel_id", column: "touchpoints.channel_id", kind: Kind::Id },
    Field {
        name: "direction",
        column: "touchpoints.direction",
        kind: Kind::Enum(&["inbound", "outbound", "internal"]),
    },
    Field { name: "name", column: "touchpoints.name", kind: Kind::Text },
    Field { name: "source", column: "touchpoints.source", kind: Kind::Text },
    Field { name: "occurred_at", column: "touchpoints.id", kind: Kind::IdTime },
    Field { name: "value.amount", column: "touchpoints.value_amount", kind: Kind::Integer },
    Field { name: "value.currency", column: "touchpoints.value_currency", kind: Kind::Text },
    Field { name: "organization_id", column: "touchpoints.organization_id", kind: Kind::Id },
];

/// The catalog of `did.where`.
pub(super) static TOUCHPOINTS: Catalog = Catalog {
    fields: TOUCHPOINT_FIELDS,
    free: Some(FreeColumn { name: "properties", column: "touchpoints.properties" }),
    did: None,
};
