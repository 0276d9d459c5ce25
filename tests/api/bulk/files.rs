//! What a file may look like, and what becomes of its rows.

use std::io::Write;

use diesel::prelude::*;
use ecrm::schema::changes;
use serde_json::{Value, json};

use super::{
    FILE, act, counts, csv_of, customers, import, path_of, prepare, refusals, upload, workspace,
};
use crate::customers::unchanged;
use crate::harness::Client;

#[test]
fn a_file_of_another_product_is_taken_in_by_its_own_names() {
    let client = workspace();
    let definition = json!({ "resource": "customer", "key": "size", "name": "Size",
                             "type": "number" });
    client.post("/v1/attribute_definitions", definition).expect(201);
    let id = prepare(&client, csv_of("customers"));
    let file = "\u{feff}Email Address;First Name;Default Address City;Tags;attributes.size;Vid\r\n\
                ADA@shop.example.com;Ada;\"Inns\nbruck\";\"club, vip\";42.5;7\r\n\r\n";
    let known = upload(&client, &id, file).expect(200).json;
    assert_eq!(known["status"], "ready");
    assert_eq!(known["mapping"]["Email Address"], "email");
    assert_eq!(known["ignored_columns"], json!(["Vid"]));
    let preview = client.get(&format!("/v1/imports/{id}/preview")).expect(200).json;
    assert_eq!(preview["rows"][0]["record"]["addresses"][0]["city"], "Inns\nbruck");
    act(&client, &id, "start").expect(200);
    let done = super::ended(&client, &format!("/v1/imports/{id}"));
    assert_eq!((&done["status"], counts(&done)), (&json!("completed"), [1, 0, 0, 0]), "{done}");
    assert_eq!(done["progress"], 1.0);
    let ada = &customers(&client)[0];
    assert_eq!(
        (&ada["email"], &ada["first_name"]),
        (&json!("ada@shop.example.com"), &json!("Ada"))
    );
    assert_eq!(
        (&ada["attributes"], &ada["tags"]),
        (&json!({"size": 42.5}), &json!(["club", "vip"]))
    );
    let job = client.get(&path_of(&done, "jobs")).expect(200).json;
    assert_eq!((&job["kind"], &job["counts"]), (&json!("import"), &done["counts"]));
}

#[test]
fn a_wrong_row_is_named_and_stops_no_other() {
    let client = workspace();
    let mut file = String::from("email,score\n");
    for n in 0..1200 {
        match n % 100 {
            50 => file.push_str("not an address,1\n"),
            60 => file.push_str(&format!("{n}@shop.example.com,=1+1\n")),
            70 => file.push_str(&format!("{n}@shop.example.com\n")),
            _ => file.push_str(&format!("{n}@shop.example.com,{n}\n")),
        }
    }
    let done = import(&client, csv_of("customers"), &file);
    assert_eq!(done["status"], "completed_with_errors");
    assert_eq!(counts(&done), [1164, 0, 0, 36]);
    assert_eq!(done["counts"]["total"], 1200);
    let refused = refusals(&client, &done);
    assert_eq!(refused.len(), 36);
    let row = |n: usize| refused[n].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(row(0)[..3], ["51", "email", "invalid_email"]);
    assert_eq!(row(1)[..3], ["61", "score", "invalid_type"]);
    assert_eq!(row(2)[..3], ["71", "", "wrong_number_of_fields"]);
    assert_eq!(row(0)[4], "not an address,1");
    let list = client.get("/v1/customers?include_total=true&limit=1").expect(200);
    assert_eq!(list.json["total"], 1164);
}

#[test]
fn who_is_there_already_is_left_changed_or_refused() {
    let client = workspace();
    let ada = json!({ "email": "ada@shop.example.com", "first_name": "Ada", "tags": ["a"] });
    client.post("/v1/customers", ada).expect(201);
    let file = "email,first_name,last_name,tags\nada@shop.example.com,,Lindqvist,b\n\
                new@shop.example.com,New,,\nnew@shop.example.com,Again,,\n";
    let with =
        |policy: &str| json!({ "resource": "customers", "format": "csv", "on_duplicate": policy });
    let tried = json!({ "resource": "customers", "format": "csv", "on_duplicate": "update",
                        "dry_run": true });
    let before = customers(&client);
    assert_eq!(counts(&import(&client, tried, file)), [1, 2, 0, 0]);
    assert_eq!(customers(&client), before, "a dry run changes nothing");
    let refused = import(&client, with("fail"), file);
    assert_eq!(counts(&refused), [1, 0, 0, 2]);
    assert_eq!(refusals(&client, &refused)[0][2], "already_exists");
    assert_eq!(counts(&import(&client, with("skip"), file)), [0, 0, 3, 0]);
    assert_eq!(counts(&import(&client, with("update"), file)), [0, 2, 1, 0], "New is no news");
    let all = customers(&client);
    assert_eq!((&all[0]["first_name"], &all[0]["last_name"]), (&json!("Ada"), &json!("Lindqvist")));
    assert_eq!(all[0]["tags"], json!(["a", "b"]));
    assert_eq!((all.len(), &all[1]["first_name"]), (2, &json!("Again")));
}

#[test]
fn lines_of_json_are_taken_in_as_the_api_takes_them() {
    let client = workspace();
    let new = json!({ "resource": "customers", "format": "ndjson",
                      "mapping": { "mail": "email" }, "source": "old_crm" });
    let file = "{\"mail\": \"a@shop.example.com\", \"attributes\": {\"x\": [1]}}\n\
                {\"email\": \"b@shop.example.com\", \"nonsense\": 1}\n{\"a\"\n\n\
                {\"email\": \"c@shop.example.com\", \"email\": \"d@shop.example.com\"}";
    let done = import(&client, new, file);
    assert_eq!(counts(&done), [1, 0, 0, 3]);
    let codes: Vec<String> =
        refusals(&client, &done).into_iter().map(|row| row[2].clone()).collect();
    assert_eq!(codes, ["unknown_field", "invalid_json", "invalid_json"]);
    let made = &customers(&client)[0];
    assert_eq!((&made["source"], &made["attributes"]), (&json!("old_crm"), &json!({"x": [1]})));
}

/// How much of the feed webhooks are not sent for.
fn backfilled(client: &Client) -> i64 {
    client.get("/v1/changes?from=oldest").expect(200);
    let mine = changes::table.filter(changes::workspace_id.eq(client.workspace_id));
    mine.filter(changes::is_backfill).count().get_result(&mut client.owner()).expect("a count")
}

#[test]
fn touchpoints_and_organizations_are_taken_in_as_well() {
    let client = workspace();
    let file = "event,email,occurred_at,message_id,properties.color\n\
                page.viewed,ada@shop.example.com,2019-03-01T10:00:00Z,m1,red\n\
                page.viewed,ada@shop.example.com,2019-03-01T10:00:00Z,m1,red\n\
                customer.created,ada@shop.example.com,2019-03-01T10:00:00Z,m2,\n";
    let new = json!({ "resource": "touchpoints", "format": "csv", "create_customers": true,
                      "backfill": true });
    let done = import(&client, new, file);
    assert_eq!(counts(&done), [1, 0, 1, 1], "{done}");
    assert_eq!(done["backfill"], true);
    assert!(backfilled(&client) > 0);
    assert_eq!(refusals(&client, &done)[0][2], "reserved_type");
    let list = client.get("/v1/touchpoints?type=page.viewed").expect(200).json;
    assert_eq!(list["data"][0]["occurred_at"], "2019-03-01T10:00:00Z");
    assert_eq!(list["data"][0]["properties"], json!({"color": "red"}));
    act(&client, done["id"].as_str().expect("an id"), "revert")
        .expect_code(409, "invalid_transition");

    let file = "Company name,Company Domain Name,external_ids.erp,Number of employees\n\
                Alpen,alpen.example.com,17,40\n,x.example.com,18,1\nAlpen,,17,41\n";
    let new = json!({ "resource": "organizations", "format": "csv", "on_duplicate": "update" });
    let done = import(&client, new, file);
    assert_eq!(counts(&done), [1, 1, 0, 1], "{done}");
    let list = client.get("/v1/organizations").expect(200).json;
    let alpen = &list["data"][0];
    assert_eq!(
        (&alpen["employees_count"], &alpen["domains"]),
        (&json!(41), &json!(["alpen.example.com"]))
    );
}

#[test]
fn a_packed_file_is_unpacked_and_what_is_no_text_is_refused() {
    let client = workspace();
    let id = prepare(&client, csv_of("customers"));
    let path = format!("/v1/imports/{id}/file");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let rows: String = (0..40_000).map(|n| format!("{n}@shop.example.com,Łódź\n")).collect();
    write!(packed, "email,city\n{rows}").expect("packed");
    let packed = packed.finish().expect("packed");
    let put = |encoding: &str, bytes: &[u8]| {
        let headers = [FILE[0], ("content-encoding", encoding)];
        client.send_unchecked("PUT", &path, &headers, Some(bytes))
    };
    let known = put("gzip", &packed).expect(200).json;
    assert_eq!(known["file_bytes"].as_u64(), Some(rows.len() as u64 + 11));
    let cut = &packed[..packed.len() - 9];
    put("gzip", cut).expect_code(400, "invalid_encoding");
    put("br", &packed).expect_code(415, "unsupported_media_type");
    let latin = put("identity", b"email,name\na@x.example.com,Ren\xe9\n").expect(422);
    assert_eq!(latin.fault().0, "not_utf8");
    assert!(latin.text.contains("line 2"), "{}", latin.text);
    let nul = put("identity", b"email\na\0@x.example.com\n").expect(422);
    assert_eq!(nul.fault().0, "nul_character");
    assert!(nul.text.contains("line 2"), "{}", nul.text);
    assert_eq!(put("identity", b"").expect(422).fault().0, "no_head_line");
    put("identity", cut).expect_code(400, "invalid_encoding");
    let still = client.get(&format!("/v1/imports/{id}")).expect(200).json;
    assert_eq!(still["version"], known["version"], "the first file stays");
    let unsaid = put("identity", &packed).expect(200).json;
    assert_eq!(
        unsaid["file_bytes"], known["file_bytes"],
        "a packed file is known by its first bytes"
    );
}

#[test]
fn columns_of_the_same_name_are_told_apart() {
    let client = workspace();
    let id = prepare(&client, csv_of("customers"));
    let known = upload(&client, &id, "Email,Email,x\na@x.example.com,,\n").expect(200).json;
    assert_eq!(known["columns"], json!(["Email", "Email (2)", "x"]));
    assert_eq!(known["mapping"], json!({ "Email": "email" }));
}

#[test]
fn a_quote_that_is_never_closed_ends_the_import_and_says_where() {
    let client = workspace();
    let file = "email,name\na@shop.example.com,A\nb@shop.example.com,\"B\nc@shop.example.com,C\n";
    let done = import(&client, csv_of("customers"), file);
    assert_eq!((&done["status"], counts(&done)), (&json!("failed"), [1, 0, 0, 1]));
    let refused = refusals(&client, &done);
    assert_eq!((refused[0][0].as_str(), refused[0][2].as_str()), ("2", "unclosed_quote"));
}

#[test]
fn a_file_larger_than_the_limit_is_refused() {
    let app = crate::harness::App::alone(&[("ECRM_IMPORT_LIMIT_BYTES", "20")]);
    let client = app.workspace(&["*"]);
    let id = prepare(&client, csv_of("customers"));
    upload(&client, &id, "email\na@x.example.com\n").expect_code(413, "payload_too_large");
    upload(&client, &id, "email\na@x.test\n").expect(200);
}

#[test]
fn what_is_no_import_is_refused() {
    let client = workspace();
    let wrong = [
        (json!({ "resource": "users", "format": "csv" }), "invalid_type", "#/resource"),
        (json!({ "resource": "customers" }), "required", "#/format"),
        (
            json!({ "resource": "customers", "format": "csv", "mapping": { "a/b": "shoe" } }),
            "unknown_field",
            "#/mapping/a~1b",
        ),
        (
            json!({ "resource": "customers", "format": "csv", "mapping": { "a": "email", "b": "email" } }),
            "field_mapped_twice",
            "#/mapping/b",
        ),
    ];
    for (body, code, at) in wrong {
        let refused = unchanged(&client, || client.post("/v1/imports", body.clone())).expect(422);
        assert_eq!(refused.fault(), (code, at), "{body}");
    }
    let id = prepare(&client, csv_of("customers"));
    act(&client, &id, "start").expect_code(409, "invalid_transition");
    client.get(&format!("/v1/imports/{id}/preview")).expect_code(409, "invalid_transition");
    upload(&client, &id, "x,y\n1,2\n").expect(200);
    assert_eq!(act(&client, &id, "start").expect(422).fault().0, "nothing_mapped");
    let mapping = json!({ "mapping": { "x": "external_ids.shop" } });
    client.patch(&format!("/v1/imports/{id}"), mapping).expect(200);
    act(&client, &id, "start").expect(200);
    act(&client, &id, "start").expect_code(409, "invalid_transition");
    upload(&client, &id, "x\n1\n").expect_code(409, "invalid_transition");
}

#[test]
fn nobody_takes_in_what_they_could_not_write() {
    let client = super::APP.workspace(&["jobs:write", "jobs:read", "organizations:write"]);
    let refused = client.post("/v1/imports", csv_of("customers")).expect(403);
    assert!(refused.text.contains("customers:write"));
    let id = prepare(&client, csv_of("organizations"));
    upload(&client, &id, "name\nAlpen\n").expect(200);
    client.get(&format!("/v1/imports/{id}/preview")).expect(403);
    client.get(&format!("/v1/imports/{id}/errors")).expect(403);
    let stranger = workspace();
    stranger.get(&format!("/v1/imports/{id}")).expect(404);
    upload(&stranger, &id, "name\nX\n").expect(404);
    let list = stranger.get("/v1/jobs").expect(200).json;
    assert_eq!(list["data"], Value::Array(vec![]));
}

#[test]
fn a_form_or_json_around_the_file_is_refused() {
    let client = workspace();
    let id = prepare(&client, json!({ "resource": "customers", "format": "csv" }));
    let path = format!("/v1/imports/{id}/file");
    let form = "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nemail\r\n--x--\r\n";
    for (kind, body) in [("multipart/form-data; boundary=x", form), ("application/json", "[]")] {
        let refused =
            client.send_unchecked("PUT", &path, &[("content-type", kind)], Some(body.as_bytes()));
        assert_eq!((refused.status, refused.code()), (415, "unsupported_media_type"), "{kind}");
    }
    let early = act(&client, &id, "start").expect(409);
    assert_eq!(early.json["detail"], "upload the file first");
    upload(&client, &id, "email\nada@example.com\n").expect(200);
    let lines = prepare(&client, json!({ "resource": "customers", "format": "ndjson" }));
    let json = [("content-type", "application/json")];
    let path = format!("/v1/imports/{lines}/file");
    client.send_unchecked("PUT", &path, &json, Some(b"{\"email\": \"a@b.example\"}\n")).expect(200);
}

#[test]
fn lines_may_end_in_cr_and_stand_after_blank_ones() {
    let client = workspace();
    let file = "Email;First name\ra@x.example.com;Ann\rb@x.example.com;\"B\n\"\r";
    let done = import(&client, csv_of("customers"), file);
    assert_eq!((counts(&done), &done["counts"]["total"]), ([2, 0, 0, 0], &json!(2)), "{done}");
    let client = workspace();
    for head in ["\r\n", "sep=;\r\n", "\u{feff}SEP=;\n\n"] {
        let id = prepare(&client, csv_of("customers"));
        let file = format!("{head}Email;Title, for short;\na@x.example.com;x;\n");
        let known = upload(&client, &id, &file).expect(200).json;
        assert_eq!(known["columns"], json!(["Email", "Title, for short", ""]), "{head:?}");
        let preview = client.get(&format!("/v1/imports/{id}/preview")).expect(200).json;
        assert_eq!(preview["rows"][0]["record"], json!({ "email": "a@x.example.com" }), "{head:?}");
    }
}

#[test]
fn blank_lines_are_no_rows() {
    let client = workspace();
    let file = "email\n\na@x.example.com\n\nnobody\n\n";
    let done = import(&client, csv_of("customers"), file);
    assert_eq!((counts(&done), &done["counts"]["total"]), ([1, 0, 0, 1], &json!(2)), "{done}");
    assert_eq!(refusals(&client, &done)[0][0], "2");
    let id = prepare(&client, csv_of("customers"));
    upload(&client, &id, "email,title\n\na@x.example.com,x\n").expect(200);
    let preview = client.get(&format!("/v1/imports/{id}/preview")).expect(200).json;
    assert_eq!(preview["rows"][0]["errors"], json!([]), "{preview}");
}

#[test]
fn a_mapping_names_columns_that_the_file_has() {
    let client = workspace();
    let new = json!({ "resource": "customers", "format": "csv", "mapping": { "e/mail": "email" } });
    let id = prepare(&client, new);
    upload(&client, &id, "Email\na@x.example.com\n").expect(200);
    let refused = act(&client, &id, "start").expect(422);
    assert_eq!(refused.fault(), ("unknown_column", "#/mapping/e~1mail"));
    let path = format!("/v1/imports/{id}");
    let wrong = json!({ "mapping": { "Email": "email", "Name": "first_name" } });
    let refused = unchanged(&client, || client.patch(&path, wrong.clone())).expect(422);
    assert_eq!(refused.fault(), ("unknown_column", "#/mapping/Name"));
    client.patch(&path, json!({ "mapping": { "Email": "email" } })).expect(200);
    act(&client, &id, "start").expect(200);
}

#[test]
fn marks_of_text_are_no_part_of_it() {
    let client = workspace();
    let file = "email,phone,Zip,first_name,last_name\n\
                a@x.example.com,'+436641234567,'01067,'=Ann,'t Hooft\n";
    let done = import(&client, csv_of("customers"), file);
    assert_eq!(counts(&done), [1, 0, 0, 0], "{done}");
    let ann = &customers(&client)[0];
    assert_eq!((&ann["phone"], &ann["first_name"]), (&json!("+436641234567"), &json!("=Ann")));
    assert_eq!(ann["addresses"][0]["postal_code"], "01067");
    assert_eq!(ann["last_name"], "'t Hooft");
}

#[test]
fn what_is_wrong_with_a_cell_is_said_in_words() {
    let client = workspace();
    let definition = json!({ "resource": "customer", "key": "seen", "name": "Seen",
                             "type": "datetime" });
    client.post("/v1/attribute_definitions", definition).expect(201);
    let file = "email,score,birth_date,attributes.seen\na@x.example.com,many,,\n\
                b@x.example.com,1,05/31,\nc@x.example.com,1,1990-13-31,\n\
                d@x.example.com,1,,2024-01-02 10:00:00 +0100\n";
    let done = import(&client, csv_of("customers"), file);
    assert_eq!(counts(&done), [1, 0, 0, 3], "{done}");
    let told: Vec<String> =
        refusals(&client, &done).into_iter().map(|row| row[3].clone()).collect();
    assert!(told[0].starts_with("`score` must be a whole number"), "{told:?}");
    assert!(told[1..].iter().all(|told| told.contains("must be a day such as")), "{told:?}");
    assert_eq!(customers(&client)[0]["attributes"]["seen"], "2024-01-02T09:00:00Z");
}
