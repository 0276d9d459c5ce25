drop table trusted_issuers, api_keys, refresh_tokens, login_emails, users;
