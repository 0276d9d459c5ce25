//! What a caller may do: scopes, and which of them each role and each kind of key can have.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::key::KeyKind;

macro_rules! scopes {
    ($($scope:ident $text:literal $meaning:literal;)*) => {
        /// One permission, written `resource:action`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Scope { $(#[doc = $meaning] $scope,)* }

        impl Scope {
            /// Every scope there is, in the order of the documentation.
            pub const EVERY: &'static [Scope] = &[$(Scope::$scope),*];

            /// The text form, as in `x-required-scopes`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$scope => $text,)* }
            }

            /// What the scope allows, for the documentation.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$scope => $meaning,)* }
            }
        }
    };
}

scopes! {
    CustomersRead "customers:read" "Read customers, leads and their identities";
    CustomersWrite "customers:write" "Create, change, merge and delete customers";
    CustomersErase "customers:erase" "Forget customers for good";
    CustomerTokensWrite "customer_tokens:write" "Let customers see and change their own data";
    OrganizationsRead "organizations:read" "Read organizations";
    OrganizationsWrite "organizations:write" "Create, change and delete organizations";
    ChannelsRead "channels:read" "Read channels, never their secrets";
    ChannelsWrite "channels:write" "Set up channels and their secrets";
    TouchpointsRead "touchpoints:read" "Read touchpoints";
    TouchpointsIngest "touchpoints:ingest" "Report touchpoints";
    ConsentsRead "consents:read" "Read what customers agreed to and where they can be reached";
    ConsentsWrite "consents:write" "Record consents and make preference links";
    SuppressionsRead "suppressions:read" "Read which addresses are not to be used";
    SuppressionsWrite "suppressions:write" "Suppress addresses and free them again";
    DataRequestsRead "data_requests:read" "Read what customers asked about their own data";
    DataRequestsWrite "data_requests:write" "Record and answer what customers ask about their data";
    ProductsRead "products:read" "Read products";
    ProductsWrite "products:write" "Create, change and delete products";
    OrdersRead "orders:read" "Read orders, refunds and fulfillments";
    OrdersWrite "orders:write" "Record orders, refunds and fulfillments";
    CartsRead "carts:read" "Read carts";
    CartsWrite "carts:write" "Record carts";
    AnalyticsRead "analytics:read" "Read figures and charts over orders and touchpoints";
    JobsRead "jobs:read" "Read imports and exports";
    JobsWrite "jobs:write" "Import and export, with the right to write or read what it is";
    AttributeDefinitionsRead "attribute_definitions:read" "Read which attributes there are";
    AttributeDefinitionsWrite "attribute_definitions:write" "Define attributes";
    TagsRead "tags:read" "Read which tags there are";
    TagsWrite "tags:write" "Create, change and delete tags";
    UsersRead "users:read" "Read who works in the workspace";
    UsersWrite "users:write" "Invite, change and remove users";
    ApiKeysRead "api_keys:read" "Read which API keys there are, never their text";
    ApiKeysWrite "api_keys:write" "Create, rotate and revoke API keys";
    WebhooksRead "webhooks:read" "Read webhook endpoints and what was delivered to them";
    WebhooksWrite "webhooks:write" "Set up webhook endpoints, try them and deliver again";
    AuditRead "audit:read" "Read who administered what";
    WorkspaceRead "workspace:read" "Read the settings of the workspace";
    WorkspaceWrite "workspace:write" "Change the settings of the workspace";
}

impl Scope {
    /// The scope of a text form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::EVERY.iter().copied().find(|scope| scope.as_str() == text)
    }

    /// Whether the scope only looks and never changes.
    pub fn is_read(self) -> bool {
        self.as_str().ends_with(":read")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes. Its text is space-separated as in OAuth 2 (RFC 6749, 3.3); `*` is all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scopes(u64);

/// A text that is not a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownScope(pub String);

impl Scopes {
    /// No scope at all.
    pub const NONE: Self = Self(0);
    /// Every scope, also those that later versions add.
    ///
    /// Not the same as a list of today's scopes, which gains nothing with a new version.
    pub const ALL: Self = Self(u64::MAX);

    /// The set of these scopes.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | bit(scope)))
    }

    /// Reads a list such as `["customers:read", "channels:read"]`, or `["*"]`.
    pub fn from_list<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownScope> {
        list.into_iter().try_fold(Self::NONE, |set, text| match text {
            "*" => Ok(Self::ALL),
            _ => Scope::parse(text)
                .map(|scope| set.union(Self::of([scope])))
                .ok_or_else(|| UnknownScope(text.into())),
        })
    }

    /// Reads a text such as `customers:read channels:read`, or `*`.
    pub fn parse(text: &str) -> Result<Self, UnknownScope> {
        Self::from_list(text.split_ascii_whitespace())
    }

    /// Whether the scope is in the set.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// Whether all of `other` is in the set: nobody may hand out more than they have.
    pub fn covers(self, other: Self) -> bool {
        other.minus(self).is_empty()
    }

    /// What is in one set or the other.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set but not in the other.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is nothing in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of the set, in the order of the documentation.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::EVERY.iter().copied().filter(move |scope| self.contains(*scope))
    }

    /// The text forms as a list, `["*"]` for all: the inverse of [`Scopes::from_list`].
    pub fn to_list(self) -> Vec<String> {
        if self == Self::ALL {
            return vec!["*".into()];
        }
        self.iter().map(|scope| scope.as_str().into()).collect()
    }
}

fn bit(scope: Scope) -> u64 {
    1 << scope as u32
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_list().join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

impl TryFrom<String> for Scopes {
    type Error = UnknownScope;

    fn try_from(text: String) -> Result<Self, UnknownScope> {
        Self::parse(&text)
    }
}

impl fmt::Display for UnknownScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a scope", self.0)
    }
}

impl std::error::Error for UnknownScope {}

crate::text_enum! {
    /// What a user is in the workspace.
    pub enum Role {
        /// May do everything, also hand the workspace over.
        Owner = "owner",
        /// May do everything but change who owns the workspace; that is checked where it happens,
        /// not by a scope, so the scopes are the owner's.
        Admin = "admin",
        /// Works with customers.
        Agent = "agent",
        /// Looks at everything and changes nothing.
        Analyst = "analyst",
        /// Looks at everything but users, keys and the audit log.
        ReadOnly = "read_only",
    }
}

impl Role {
    /// What the role may do.
    pub fn scopes(self) -> Scopes {
        match self {
            Self::Owner | Self::Admin => Scopes::ALL,
            Self::Agent => Scopes::of(AGENT),
            Self::Analyst => reads(),
            Self::ReadOnly => reads().minus(Scopes::of(INTERNAL)),
        }
    }
}

const AGENT: [Scope; 22] = [
    Scope::CustomersRead,
    Scope::CustomersWrite,
    Scope::OrganizationsRead,
    Scope::OrganizationsWrite,
    Scope::ChannelsRead,
    Scope::TouchpointsRead,
    Scope::TouchpointsIngest,
    Scope::ConsentsRead,
    Scope::ConsentsWrite,
    Scope::SuppressionsRead,
    Scope::SuppressionsWrite,
    Scope::DataRequestsRead,
    Scope::DataRequestsWrite,
    Scope::ProductsRead,
    Scope::OrdersRead,
    Scope::OrdersWrite,
    Scope::CartsRead,
    Scope::AttributeDefinitionsRead,
    Scope::TagsRead,
    Scope::TagsWrite,
    Scope::UsersRead,
    Scope::WorkspaceRead,
];

/// What is about those who work here.
const INTERNAL: [Scope; 3] = [Scope::UsersRead, Scope::ApiKeysRead, Scope::AuditRead];

fn reads() -> Scopes {
    Scopes::of(Scope::EVERY.iter().copied().filter(|scope| scope.is_read()))
}

impl KeyKind {
    /// The most that a key of this kind can be given, whatever its row says.
    pub fn allowed_scopes(self) -> Scopes {
        match self {
            Self::Secret => Scopes::ALL,
            Self::Write => Scopes::of([Scope::TouchpointsIngest]),
            Self::Portal => Scopes::of([Scope::CustomerTokensWrite]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_has_a_text_that_reads_back() {
        for scope in Scope::EVERY.iter().copied() {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
            assert_eq!(Scopes::of([scope]).to_string(), scope.as_str());
        }
        assert!(Scope::EVERY.len() < 64, "the set is a u64");
    }

    #[test]
    fn a_set_reads_back_from_its_text_and_its_list() {
        let sets = Role::ALL
            .iter()
            .filter_map(|role| role.parse().ok())
            .map(Role::scopes)
            .chain([Scopes::NONE]);
        for set in sets {
            assert_eq!(Scopes::parse(&set.to_string()), Ok(set));
            assert_eq!(Scopes::from_list(set.to_list().iter().map(String::as_str)), Ok(set));
        }
        let two =
            Scopes::parse(" channels:read  customers:read channels:read").expect("two scopes");
        assert_eq!(two.to_string(), "customers:read channels:read");
        assert_eq!(Scopes::ALL.to_string(), "*");
    }

    #[test]
    fn a_list_of_every_scope_is_less_than_all() {
        let today = Scopes::of(Scope::EVERY.iter().copied());
        assert_eq!(Scopes::ALL.iter().count(), today.iter().count());
        assert!(today.to_string().starts_with("customers:read "));
        assert!(Scopes::ALL.covers(today) && !today.covers(Scopes::ALL));
        assert_eq!(Scopes::ALL.intersection(today), today);
    }

    #[test]
    fn an_unknown_scope_is_named() {
        let error = Scopes::parse("customers:read customers:fly").expect_err("unknown");
        assert_eq!(error.to_string(), "`customers:fly` is not a scope");
        assert!(Scopes::from_list(["*", "nonsense"]).is_err());
        assert!(Scopes::from_list(["customers:read channels:read"]).is_err());
        assert!(Scopes::from_list([""]).is_err());
        assert!(Scopes::parse("Customers:Read").is_err());
    }

    #[test]
    fn sets_combine() {
        let both = Scopes::of([Scope::CustomersRead, Scope::ChannelsRead]);
        let one = Scopes::of([Scope::ChannelsRead]);
        assert!(both.contains(Scope::ChannelsRead) && !both.contains(Scope::CustomersWrite));
        assert!(both.covers(one) && !one.covers(both) && Scopes::ALL.covers(both));
        assert_eq!(both.minus(one), Scopes::of([Scope::CustomersRead]));
        assert_eq!(both.intersection(one), one);
        assert_eq!(both.union(one), both);
        assert!(Scopes::NONE.is_empty() && both.covers(Scopes::NONE));
    }

    #[test]
    fn roles_may_what_the_table_says() {
        let may = |role: Role, scope| role.scopes().contains(scope);
        for scope in Scope::EVERY.iter().copied() {
            assert!(may(Role::Owner, scope) && may(Role::Admin, scope));
            assert_eq!(may(Role::Analyst, scope), scope.is_read(), "{scope}");
            let is_internal = INTERNAL.contains(&scope);
            assert_eq!(may(Role::ReadOnly, scope), scope.is_read() && !is_internal, "{scope}");
        }
        for scope in [Scope::WorkspaceWrite, Scope::ChannelsWrite, Scope::UsersWrite] {
            assert!(!may(Role::Agent, scope), "{scope}");
        }
        assert!(may(Role::Agent, Scope::CustomersWrite));
    }

    #[test]
    fn a_key_that_is_no_servers_has_one_scope() {
        assert_eq!(KeyKind::Write.allowed_scopes().to_string(), "touchpoints:ingest");
        assert_eq!(KeyKind::Secret.allowed_scopes(), Scopes::ALL);
        assert_eq!(KeyKind::Portal.allowed_scopes().to_string(), "customer_tokens:write");
    }
}
