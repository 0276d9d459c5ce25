//! The tables, as `diesel print-schema` prints them (array elements are never null).

// @generated automatically by Diesel CLI.

diesel::table! {
    api_keys (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        name -> Text,
        kind -> Text,
        scopes -> Array<Text>,
        livemode -> Bool,
        hash -> Bytea,
        prefix -> Text,
        last4 -> Text,
        expires_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    attribute_definitions (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        resource -> Text,
        key -> Text,
        name -> Text,
        description -> Nullable<Text>,
        #[sql_name = "type"]
        type_ -> Text,
        options -> Array<Text>,
        unique -> Bool,
        required -> Bool,
        pii -> Bool,
        searchable -> Bool,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    audit_events (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        occurred_at -> Timestamptz,
        actor_type -> Text,
        actor_id -> Nullable<Uuid>,
        action -> Text,
        resource_type -> Text,
        resource_id -> Nullable<Uuid>,
        request_id -> Nullable<Text>,
        ip -> Nullable<Text>,
        before -> Nullable<Json>,
        after -> Nullable<Json>,
        salt -> Nullable<Bytea>,
        before_hash -> Nullable<Bytea>,
        after_hash -> Nullable<Bytea>,
        ip_hash -> Nullable<Bytea>,
        hash -> Bytea,
        seal_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    audit_seals (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        sequence -> Int8,
        previous_hash -> Nullable<Bytea>,
        root -> Bytea,
        events_count -> Int4,
        first_event_id -> Uuid,
        last_event_id -> Uuid,
        hash -> Bytea,
        sealed_at -> Timestamptz,
    }
}

diesel::table! {
    bulk_jobs (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        resource -> Text,
        format -> Text,
        status -> Text,
        settings -> Jsonb,
        found -> Nullable<Jsonb>,
        file_id -> Nullable<Uuid>,
        file_bytes -> Int8,
        position -> Int8,
        after_id -> Nullable<Uuid>,
        row_count -> Int8,
        total -> Nullable<Int8>,
        created_count -> Int8,
        updated_count -> Int8,
        skipped_count -> Int8,
        failed_count -> Int8,
        reverted_count -> Int8,
        failure -> Nullable<Text>,
        actor -> Jsonb,
        link_hash -> Nullable<Bytea>,
        link_expires_at -> Nullable<Timestamptz>,
        expires_at -> Timestamptz,
        started_at -> Nullable<Timestamptz>,
        finished_at -> Nullable<Timestamptz>,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    bulk_pieces (workspace_id, file_id, position) {
        workspace_id -> Uuid,
        file_id -> Uuid,
        position -> Int4,
        sealed -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    carts (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        external_ids -> Jsonb,
        source -> Text,
        customer_id -> Nullable<Uuid>,
        origin_customer_id -> Nullable<Uuid>,
        anonymous_id -> Nullable<Text>,
        email -> Nullable<Text>,
        status -> Text,
        currency -> Text,
        total -> Int8,
        line_items -> Jsonb,
        channel_id -> Nullable<Uuid>,
        recovery_url -> Nullable<Text>,
        order_id -> Nullable<Uuid>,
        active_at -> Timestamptz,
        checkout_at -> Nullable<Timestamptz>,
        abandoned_at -> Nullable<Timestamptz>,
        recovered_at -> Nullable<Timestamptz>,
        converted_at -> Nullable<Timestamptz>,
        source_updated_at -> Nullable<Timestamptz>,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    changes (workspace_id, sequence) {
        workspace_id -> Uuid,
        sequence -> Int8,
        touchpoint_ids -> Array<Uuid>,
        recorded_at -> Timestamptz,
        is_backfill -> Bool,
    }
}

diesel::table! {
    channels (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        external_ids -> Jsonb,
        #[sql_name = "type"]
        type_ -> Text,
        name -> Text,
        provider -> Text,
        direction -> Text,
        status -> Text,
        config -> Jsonb,
        sealed_secrets -> Nullable<Bytea>,
        sender -> Nullable<Jsonb>,
        capabilities -> Array<Text>,
        rate_limit -> Nullable<Jsonb>,
        quiet_hours -> Nullable<Jsonb>,
        attributes -> Jsonb,
        tags -> Array<Text>,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    connector_events (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        channel_id -> Uuid,
        topic -> Text,
        delivery_id -> Text,
        status -> Text,
        attempts -> Int4,
        error -> Nullable<Jsonb>,
        resource_type -> Nullable<Text>,
        resource_id -> Nullable<Uuid>,
        customer_id -> Nullable<Uuid>,
        sealed -> Bytea,
        received_at -> Timestamptz,
        processed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    consent_events (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        consent_id -> Uuid,
        origin_customer_id -> Uuid,
        channel_type -> Text,
        purpose -> Text,
        topic -> Nullable<Text>,
        state -> Text,
        lawful_basis -> Text,
        soft_opt_in -> Bool,
        method -> Text,
        source -> Nullable<Text>,
        evidence -> Nullable<Jsonb>,
        actor -> Jsonb,
        occurred_at -> Timestamptz,
        recorded_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
        version -> Int8,
    }
}

diesel::table! {
    consents (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        customer_id -> Uuid,
        origin_customer_id -> Uuid,
        channel_type -> Text,
        purpose -> Text,
        topic -> Nullable<Text>,
        state -> Text,
        lawful_basis -> Text,
        soft_opt_in -> Bool,
        method -> Text,
        source -> Nullable<Text>,
        evidence -> Nullable<Jsonb>,
        double_opt_in_sent_at -> Nullable<Timestamptz>,
        double_opt_in_confirmed_at -> Nullable<Timestamptz>,
        granted_at -> Nullable<Timestamptz>,
        withdrawn_at -> Nullable<Timestamptz>,
        expires_at -> Nullable<Timestamptz>,
        event_id -> Uuid,
        decided_at -> Timestamptz,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    cors_origins (origin, workspace_id) {
        origin -> Text,
        workspace_id -> Uuid,
    }
}

diesel::table! {
    customer_activity (workspace_id, customer_id, type_) {
        workspace_id -> Uuid,
        customer_id -> Uuid,
        #[sql_name = "type"]
        type_ -> Text,
        n -> Int8,
        first_at -> Timestamptz,
        last_at -> Timestamptz,
    }
}

diesel::table! {
    customer_stats (workspace_id, customer_id) {
        workspace_id -> Uuid,
        customer_id -> Uuid,
        touchpoints_count -> Int8,
        first_seen_at -> Nullable<Timestamptz>,
        last_seen_at -> Nullable<Timestamptz>,
        last_contacted_at -> Nullable<Timestamptz>,
        orders_count -> Int8,
        total_spent -> Int8,
        first_order_at -> Nullable<Timestamptz>,
        last_order_at -> Nullable<Timestamptz>,
        currency -> Nullable<Text>,
    }
}

diesel::table! {
    customers (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        external_ids -> Jsonb,
        first_name -> Nullable<Text>,
        last_name -> Nullable<Text>,
        display_name -> Nullable<Text>,
        email -> Nullable<Text>,
        phone -> Nullable<Text>,
        title -> Nullable<Text>,
        birth_date -> Nullable<Date>,
        gender -> Nullable<Text>,
        locale -> Nullable<Text>,
        timezone -> Nullable<Text>,
        currency -> Nullable<Text>,
        addresses -> Jsonb,
        lifecycle_stage -> Text,
        status -> Text,
        owner_id -> Nullable<Uuid>,
        source -> Nullable<Text>,
        acquisition -> Nullable<Jsonb>,
        preferences -> Nullable<Jsonb>,
        score -> Nullable<Int4>,
        merged_into_id -> Nullable<Uuid>,
        attributes -> Jsonb,
        tags -> Array<Text>,
        search_key -> Text,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        restricted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    data_request_pieces (workspace_id, data_request_id, attempt_id, position) {
        workspace_id -> Uuid,
        data_request_id -> Uuid,
        attempt_id -> Uuid,
        position -> Int4,
        sealed -> Bytea,
    }
}

diesel::table! {
    data_requests (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        customer_id -> Uuid,
        kind -> Text,
        status -> Text,
        note -> Nullable<Text>,
        purposes -> Array<Text>,
        actor -> Jsonb,
        received_at -> Timestamptz,
        due_at -> Timestamptz,
        extension_reason -> Nullable<Text>,
        rejection_reason -> Nullable<Text>,
        verified_at -> Nullable<Timestamptz>,
        completed_at -> Nullable<Timestamptz>,
        lifted_at -> Nullable<Timestamptz>,
        archive_bytes -> Nullable<Int8>,
        archive_sha256 -> Nullable<Bytea>,
        archive_expires_at -> Nullable<Timestamptz>,
        link_hash -> Nullable<Bytea>,
        link_expires_at -> Nullable<Timestamptz>,
        certificate -> Nullable<Jsonb>,
        work -> Nullable<Jsonb>,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    external_ids (workspace_id, resource, source, external_id) {
        workspace_id -> Uuid,
        resource -> Text,
        source -> Text,
        external_id -> Text,
        resource_id -> Uuid,
    }
}

diesel::table! {
    feed_heads (workspace_id) {
        workspace_id -> Uuid,
        sequence -> Int8,
    }
}

diesel::table! {
    idempotency_keys (workspace_id, credential_id, key) {
        workspace_id -> Uuid,
        credential_id -> Uuid,
        key -> Text,
        fingerprint -> Bytea,
        status -> Int2,
        headers -> Jsonb,
        body -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    identities (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        customer_id -> Uuid,
        origin_customer_id -> Uuid,
        #[sql_name = "type"]
        type_ -> Text,
        source -> Nullable<Text>,
        value -> Text,
        value_norm -> Text,
        verified_at -> Nullable<Timestamptz>,
        is_primary -> Bool,
        created_at -> Timestamptz,
        released_at -> Nullable<Timestamptz>,
        source_updated_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    import_changes (workspace_id, import_id, row_number, id) {
        workspace_id -> Uuid,
        import_id -> Uuid,
        row_number -> Int8,
        id -> Uuid,
        resource_id -> Uuid,
        resource_version -> Int8,
        former -> Nullable<Jsonb>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    import_errors (workspace_id, import_id, row_number, id) {
        workspace_id -> Uuid,
        import_id -> Uuid,
        row_number -> Int8,
        id -> Uuid,
        sealed -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    jobs (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        queue -> Text,
        kind -> Text,
        payload -> Jsonb,
        state -> Text,
        run_at -> Timestamptz,
        attempts -> Int4,
        max_attempts -> Int4,
        locked_by -> Nullable<Uuid>,
        locked_until -> Nullable<Timestamptz>,
        last_error -> Nullable<Text>,
        unique_key -> Nullable<Text>,
        created_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
        priority -> Int2,
        version -> Int8,
    }
}

diesel::table! {
    login_emails (email_norm, workspace_id) {
        email_norm -> Text,
        workspace_id -> Uuid,
        user_id -> Uuid,
    }
}

diesel::table! {
    memberships (workspace_id, organization_id, customer_id) {
        workspace_id -> Uuid,
        organization_id -> Uuid,
        customer_id -> Uuid,
        role -> Nullable<Text>,
        is_primary -> Bool,
        since -> Nullable<Date>,
        until -> Nullable<Date>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        origin_customer_id -> Uuid,
    }
}

diesel::table! {
    merge_candidates (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        customer_id -> Uuid,
        other_id -> Uuid,
        reason -> Text,
        status -> Text,
        merge_id -> Nullable<Uuid>,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    merges (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        customer_id -> Uuid,
        source_id -> Uuid,
        status -> Text,
        cause -> Text,
        fields -> Jsonb,
        moved -> Jsonb,
        kept -> Jsonb,
        actor -> Jsonb,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        reverted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    order_fulfillments (workspace_id, order_id, id) {
        workspace_id -> Uuid,
        order_id -> Uuid,
        id -> Uuid,
        external_id -> Nullable<Text>,
        line_items -> Jsonb,
        tracking_company -> Nullable<Text>,
        tracking_number -> Nullable<Text>,
        tracking_url -> Nullable<Text>,
        fulfilled_at -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    order_line_items (workspace_id, order_id, id) {
        workspace_id -> Uuid,
        order_id -> Uuid,
        id -> Uuid,
        position -> Int4,
        external_id -> Nullable<Text>,
        product_id -> Nullable<Uuid>,
        sku -> Nullable<Text>,
        name -> Text,
        variant -> Nullable<Text>,
        quantity -> Int4,
        unit_price -> Int8,
        discount_total -> Int8,
        tax_total -> Int8,
        total -> Int8,
        fulfilled_quantity -> Int4,
        returned_quantity -> Int4,
        product_external_id -> Nullable<Text>,
    }
}

diesel::table! {
    order_refunds (workspace_id, order_id, id) {
        workspace_id -> Uuid,
        order_id -> Uuid,
        id -> Uuid,
        external_id -> Nullable<Text>,
        amount -> Int8,
        reason -> Nullable<Text>,
        is_return -> Bool,
        line_items -> Jsonb,
        refunded_at -> Timestamptz,
        created_at -> Timestamptz,
        is_deduced -> Bool,
    }
}

diesel::table! {
    orders (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        external_ids -> Jsonb,
        source -> Text,
        number -> Nullable<Text>,
        customer_id -> Nullable<Uuid>,
        origin_customer_id -> Nullable<Uuid>,
        email -> Nullable<Text>,
        phone -> Nullable<Text>,
        status -> Text,
        financial_status -> Text,
        fulfillment_status -> Text,
        currency -> Text,
        subtotal -> Int8,
        discount_total -> Int8,
        tax_total -> Int8,
        shipping_total -> Int8,
        fee_total -> Int8,
        total -> Int8,
        paid_total -> Int8,
        refunded_total -> Int8,
        is_tax_included -> Bool,
        channel_id -> Nullable<Uuid>,
        cart_id -> Nullable<Uuid>,
        billing_address -> Nullable<Jsonb>,
        shipping_address -> Nullable<Jsonb>,
        discount_codes -> Array<Text>,
        utm -> Nullable<Jsonb>,
        note -> Nullable<Text>,
        cancel_reason -> Nullable<Text>,
        placed_at -> Timestamptz,
        paid_at -> Nullable<Timestamptz>,
        fulfilled_at -> Nullable<Timestamptz>,
        cancelled_at -> Nullable<Timestamptz>,
        source_updated_at -> Nullable<Timestamptz>,
        attributes -> Jsonb,
        tags -> Array<Text>,
        search_key -> Text,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        payments -> Jsonb,
    }
}

diesel::table! {
    organizations (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        external_ids -> Jsonb,
        name -> Text,
        domains -> Array<Text>,
        industry -> Nullable<Text>,
        employees_count -> Nullable<Int4>,
        annual_revenue -> Nullable<Jsonb>,
        parent_id -> Nullable<Uuid>,
        owner_id -> Nullable<Uuid>,
        attributes -> Jsonb,
        tags -> Array<Text>,
        search_key -> Text,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    outbox (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        touchpoint_ids -> Array<Uuid>,
        appended_at -> Timestamptz,
        is_backfill -> Bool,
    }
}

diesel::table! {
    products (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        external_ids -> Jsonb,
        sku -> Nullable<Text>,
        name -> Text,
        description -> Nullable<Text>,
        brand -> Nullable<Text>,
        category -> Nullable<Text>,
        price -> Nullable<Jsonb>,
        url -> Nullable<Text>,
        image_url -> Nullable<Text>,
        status -> Text,
        attributes -> Jsonb,
        tags -> Array<Text>,
        search_key -> Text,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        source_updated_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    refresh_tokens (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        user_id -> Uuid,
        family_id -> Uuid,
        hash -> Bytea,
        livemode -> Bool,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    suppressions (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        channel_type -> Text,
        address_hash -> Bytea,
        reason -> Text,
        until -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    tags (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        name -> Text,
        color -> Nullable<Text>,
        description -> Nullable<Text>,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    touchpoint_counts (workspace_id, at, channel_id, type_, slot) {
        workspace_id -> Uuid,
        at -> Timestamptz,
        channel_id -> Uuid,
        #[sql_name = "type"]
        type_ -> Text,
        slot -> Int2,
        n -> Int8,
    }
}

diesel::table! {
    touchpoint_keys (workspace_id, source, message_id) {
        workspace_id -> Uuid,
        source -> Text,
        message_id -> Text,
        touchpoint_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    touchpoints (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        customer_id -> Nullable<Uuid>,
        origin_customer_id -> Nullable<Uuid>,
        anonymous_id -> Nullable<Text>,
        organization_id -> Nullable<Uuid>,
        channel_id -> Nullable<Uuid>,
        direction -> Text,
        #[sql_name = "type"]
        type_ -> Text,
        name -> Nullable<Text>,
        received_at -> Timestamptz,
        source -> Text,
        message_id -> Nullable<Text>,
        subject -> Nullable<Jsonb>,
        conversation_id -> Nullable<Uuid>,
        campaign_id -> Nullable<Uuid>,
        actor -> Jsonb,
        value_amount -> Nullable<Int8>,
        value_currency -> Nullable<Text>,
        content -> Nullable<Jsonb>,
        context -> Nullable<Jsonb>,
        properties -> Jsonb,
    }
}

diesel::table! {
    trusted_issuers (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        issuer -> Text,
        audience -> Text,
        jwks_url -> Text,
        algorithms -> Array<Text>,
        scopes_claim -> Nullable<Text>,
        roles_claim -> Nullable<Text>,
        default_scopes -> Array<Text>,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    unique_attributes (workspace_id, resource, key, value) {
        workspace_id -> Uuid,
        resource -> Text,
        key -> Text,
        value -> Text,
        resource_id -> Uuid,
    }
}

diesel::table! {
    users (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        email -> Text,
        email_norm -> Text,
        name -> Text,
        role -> Text,
        status -> Text,
        password_hash -> Nullable<Text>,
        token_version -> Int8,
        last_login_at -> Nullable<Timestamptz>,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    webhook_attempts (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        delivery_id -> Uuid,
        number -> Int4,
        attempted_at -> Timestamptz,
        latency_ms -> Int4,
        status_code -> Nullable<Int4>,
        error -> Nullable<Text>,
        request_headers -> Jsonb,
        response_headers -> Jsonb,
        response_body -> Nullable<Text>,
    }
}

diesel::table! {
    webhook_deliveries (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        endpoint_id -> Uuid,
        sequence -> Int8,
        touchpoint_id -> Uuid,
        customer_id -> Nullable<Uuid>,
        #[sql_name = "type"]
        type_ -> Text,
        status -> Text,
        attempts -> Int4,
        failures -> Int4,
        next_attempt_at -> Timestamptz,
        locked_by -> Nullable<Uuid>,
        locked_until -> Nullable<Timestamptz>,
        last_status_code -> Nullable<Int4>,
        last_error -> Nullable<Text>,
        created_at -> Timestamptz,
        delivered_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhook_endpoints (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
        url -> Text,
        description -> Nullable<Text>,
        event_types -> Array<Text>,
        #[sql_name = "where"]
        where_ -> Nullable<Jsonb>,
        signatures -> Array<Text>,
        max_concurrency -> Int4,
        status -> Text,
        disabled_reason -> Nullable<Text>,
        disabled_at -> Nullable<Timestamptz>,
        sealed -> Bytea,
        public_key -> Text,
        previous_secret_expires_at -> Nullable<Timestamptz>,
        cursor -> Int8,
        failures -> Int4,
        failing_since -> Nullable<Timestamptz>,
        last_success_at -> Nullable<Timestamptz>,
        last_failure_at -> Nullable<Timestamptz>,
        paused_until -> Nullable<Timestamptz>,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        former -> Nullable<Jsonb>,
    }
}

diesel::table! {
    workspace_slugs (slug) {
        slug -> Text,
        workspace_id -> Uuid,
    }
}

diesel::table! {
    workspaces (id) {
        id -> Uuid,
        name -> Text,
        slug -> Text,
        default_currency -> Text,
        timezone -> Text,
        settings -> Jsonb,
        livemode -> Bool,
        twin_id -> Uuid,
        data_key -> Bytea,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(api_keys -> workspaces (workspace_id));
diesel::joinable!(refresh_tokens -> workspaces (workspace_id));
diesel::joinable!(trusted_issuers -> workspaces (workspace_id));
diesel::joinable!(users -> workspaces (workspace_id));

diesel::allow_tables_to_appear_in_same_query!(
    api_keys,
    attribute_definitions,
    audit_events,
    audit_seals,
    bulk_jobs,
    bulk_pieces,
    carts,
    changes,
    channels,
    connector_events,
    consent_events,
    consents,
    cors_origins,
    customer_activity,
    customer_stats,
    customers,
    data_request_pieces,
    data_requests,
    external_ids,
    feed_heads,
    idempotency_keys,
    identities,
    import_changes,
    import_errors,
    jobs,
    login_emails,
    memberships,
    order_fulfillments,
    order_line_items,
    order_refunds,
    orders,
    organizations,
    outbox,
    products,
    refresh_tokens,
    suppressions,
    tags,
    touchpoint_counts,
    touchpoint_keys,
    touchpoints,
    trusted_issuers,
    unique_attributes,
    users,
    webhook_attempts,
    webhook_deliveries,
    webhook_endpoints,
    workspace_slugs,
    workspaces,
);
