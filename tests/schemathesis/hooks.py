"""Lets made-up requests meet something: ids of what the service itself made before.

A random id is never there, so that without this every request for one thing would be answered 404.
Ids are learned from answers that made something; the key that makes the requests is none of them.
"""

import os
import random
import re
import uuid

import schemathesis
from schemathesis import GenerationMode
from schemathesis.generation.meta import TestPhase

# The id of the key that makes the requests.
OWN_KEY = os.environ["ECRM_OWN_KEY_ID"]
KEPT = 20
ORDERS = 300
MADE = {}
CHANCE = random.Random(7)


def resource(path, parameter):
    """`customers` for `/v1/customers/{id}` as for `{customer_id}`."""
    if parameter == "id":
        return path.split("/{id}")[0].rsplit("/", 1)[-1]
    noun = parameter.removesuffix("_id")
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def is_stateful(case):
    return case.meta is not None and case.meta.phase.name == TestPhase.STATEFUL


@schemathesis.hook
def before_call(context, case, kwargs):
    is_positive = case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE
    for parameter in list(case.path_parameters or {}) if is_positive else []:
        known = MADE.get(resource(case.path, parameter))
        if known and re.search(r"(^|_)id$", parameter) and "/external/" not in case.path:
            if CHANCE.random() < 0.8:
                case.path_parameters[parameter] = CHANCE.choice(known)
    if is_positive and case.path == "/v1/changes" and case.query:
        # It would be waited for.
        case.query.pop("wait", None)
    if is_positive and case.path == "/v1/orders/batch" and isinstance(case.body, dict):
        # A debug build takes longer than any answer may for a thousand.
        del case.body.get("items", [])[ORDERS:]
    if is_positive and is_stateful(case) and case.query:
        # What the next step asks for must have been made.
        case.query.pop("dry_run", None)
    if case.path.startswith("/v1/api_keys/") and case.path_parameters.get("id") == OWN_KEY:
        # Without its own key all that follows would be 401.
        case.path_parameters["id"] = str(uuid.UUID(int=CHANCE.getrandbits(128), version=4))


@schemathesis.hook
def after_call(context, case, response):
    location = response.headers.get("location")
    if response.status_code == 201 and location:
        collection, _, made = location[0].rpartition("/")
        known = MADE.setdefault(collection.rsplit("/", 1)[-1], [])
        known.append(made)
        del known[:-KEPT]


# Rules that no schema can say: code, and the place where that matters.
RULES = {
    # Texts whose form is a matter of tables and plans, or of more than a pattern.
    "invalid_country", "invalid_currency", "invalid_domain", "invalid_email", "invalid_locale",
    "invalid_origin", "invalid_phone", "invalid_timezone", "invalid_url", "nul_character",
    "private_address", "invalid_event_types", "invalid_signatures", "unknown_scope", "weak_password", "invalid_address", "invalid_ip", "invalid_date", "invalid_time", "invalid_tags",
    "number_out_of_range", "too_many_keys", "invalid_key",
    # One field and another.
    "duplicate_source", "immutable", "invalid_range", "invalid_attribute", "invalid_options", "invalid_period", "invalid_scopes",
    "invalid_source", "invalid_unique", "required", "same_customer", "contradicts_path", "not_an_objection", "ambiguous_reference", "empty_reference", "invalid_basis",
    # Amounts of one order: in its currency, from nothing upwards, and adding up.
    "currency_mismatch", "totals_mismatch", "refund_exceeds_payment", "out_of_range", "nothing_left",
    # Files are made of rows with a head, and settings fit a resource and each other.
    "not_utf8", "unclosed_quote", "record_too_long", "no_head_line", "nothing_mapped", "field_mapped_twice",
    "not_for_this_resource", "unknown_column", "invalid_filter",
    # What can be asked of touchpoints and of orders.
    "not_for_this_metric",
    # Predicates are exactly one of five things, and only some operators fit a field.
    "ambiguous_predicate", "empty_predicate", "invalid_operator", "invalid_value", "too_deep",
    "unknown_field", "too_many_clauses",
    # What is there, what was before, and what time it is.
    "already_exists", "customer_not_found", "idempotency_key_reused", "in_the_future", "in_the_past",
    "not_found", "too_many_consents", "reserved_type", "reserved_source",
    "invalid_cursor", "version_mismatch", "precondition_failed",
    # OAuth's own, for made-up logins.
    "invalid_grant", "invalid_request", "unsupported_grant_type", "invalid_scope", "invalid_client",
}
# Parameters that are texts in the document and closed lists, pairs, patterns, days of these centuries, no time
# to come, or what there is, in fact.
PARAMETERS = {
    "sort", "source", "value", "If-Match", "from", "to", "as_of", "interval", "group_by", "types", "type", "kind",
    "status", "channel_ids",
}


def refusals(body):
    """The codes of a refusal, with their parameters or places."""
    errors = body.get("errors") or []
    return [(error.get("code"), error.get("parameter") or error.get("pointer")) for error in errors] or [
        (body.get("code") or body.get("error"), None)
    ]


@schemathesis.check
def refused_by_a_rule_that_is_known(context, response, case):
    is_positive = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if not is_positive or response.status_code not in (400, 422):
        return
    for code, parameter in refusals(response.json()):
        is_known = code in RULES or (code == "invalid_parameter" and parameter in PARAMETERS)
        # The reference in the path is one more.
        is_known |= "/external/" in case.path and (code, parameter) == ("invalid_length", "#/external_ids")
        assert is_known, f"the schema allows what is refused with `{code}` at `{parameter}`"
