//! `ecrm import`: a file taken in from a shell.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use uuid::Uuid;

use super::{APP, customers, workspace};
use crate::harness::Client;

/// A file in a folder of its own.
fn file(name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("import-{}", Uuid::new_v4()));
    std::fs::create_dir(&folder).expect("a folder");
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

/// Runs the command while the jobs of the service are carried out.
fn ecrm_import(client: &Client, arguments: &[&str]) -> Output {
    let mut running = Command::new(env!("CARGO_BIN_EXE_ecrm"))
        .arg("import")
        .args(arguments)
        .env("ECRM_URL", &client.base)
        .env("ECRM_KEY", client.token.as_deref().unwrap_or_default())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    while running.try_wait().expect("a process").is_none() {
        ecrm::worker::round(&APP.state, Uuid::now_v7()).expect("a round");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running.wait_with_output().expect("its output")
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_file_is_taken_in_from_a_shell() {
    let client = workspace();
    let rows =
        "Email,First name,Shade\nann@shop.example.com,Ann,red\nbob@shop.example.com,Bob,blue\n";
    let path = file("people.csv", rows);
    let arguments = [path.to_str().expect("a path"), "--resource", "customers"];
    let output = ecrm_import(&client, &arguments);
    let (out, err) = said(&output);
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(out, "completed: 2 created, 0 updated, 0 skipped, 0 refused\n");
    assert!(err.contains("column \"Shade\" is ignored"), "{err}");
    assert_eq!(customers(&client).len(), 2);
    let again = ecrm_import(&client, &arguments);
    assert_eq!(said(&again).0, "completed: 0 created, 0 updated, 2 skipped, 0 refused\n");
    let tried = ecrm_import(
        &client,
        &[
            arguments[0],
            "--resource",
            "customers",
            "--dry-run",
            "--on-duplicate",
            "update",
            "--map",
            "Email=email",
            "--map",
            "Shade=last_name",
        ],
    );
    assert_eq!(said(&tried).0, "completed: 0 created, 2 updated, 0 skipped, 0 refused\n");
    assert_eq!(customers(&client)[0]["last_name"], serde_json::Value::Null);
}

#[test]
fn refused_rows_are_written_beside_the_file_and_the_command_fails() {
    let client = workspace();
    let path = file("people.ndjson", "{\"email\":\"ann@shop.example.com\"}\n{\"email\":\"ann\"}\n");
    let output = ecrm_import(&client, &[path.to_str().expect("a path"), "--resource", "customers"]);
    let (out, err) = said(&output);
    assert!(!output.status.success(), "{out}{err}");
    assert_eq!(out, "completed_with_errors: 1 created, 0 updated, 0 skipped, 1 refused\n");
    let refused = path.with_extension("refused.csv");
    assert!(err.contains(refused.to_str().expect("a path")), "{err}");
    assert!(std::fs::read_to_string(refused).expect("a file").contains("invalid_email"));
}

#[test]
fn what_is_wrong_is_said_in_a_sentence() {
    let client = workspace();
    let path = file("people.csv", "Email\nann@shop.example.com\n");
    let path = path.to_str().expect("a path");
    let fails = |client: &Client, arguments: &[&str], why: &str| {
        let output = ecrm_import(client, arguments);
        let (_, err) = said(&output);
        assert!(!output.status.success() && err.contains(why), "{err}");
    };
    fails(&client, &["/nowhere/people.csv", "--resource", "customers"], "/nowhere/people.csv");
    fails(&client, &["/etc/hostname", "--resource", "customers"], "--format csv or ndjson");
    fails(&client, &[path, "--resource", "customers", "--map", "Email"], "COLUMN=FIELD");
    fails(&client, &[path, "--resource", "customers", "--map", "Email=shoe"], "#/mapping");
    fails(&client, &[path, "--resource", "users"], "must be one of");
    fails(&client.with_token("nonsense"), &[path, "--resource", "customers"], "401");
}

#[test]
fn what_is_mapped_by_hand_comes_before_what_the_names_suggest() {
    let client = workspace();
    let rows = "Email,First name,Shoe size,Title,Nick=name\nann@shop.example.com,Ann,38,x,Annie\n";
    let path = file("people.csv", rows);
    let path = path.to_str().expect("a path");
    let map = |maps: &[&str]| {
        let mut arguments = vec![path, "--resource", "customers", "--on-duplicate", "update"];
        maps.iter().for_each(|map| arguments.extend(["--map", *map]));
        ecrm_import(&client, &arguments)
    };
    let output = map(&["Shoe size=attributes.size", "Title=", "Nick=name=display_name"]);
    let (out, err) = said(&output);
    assert!(output.status.success() && !err.contains("ignored"), "{out}{err}");
    let ann = customers(&client)[0].clone();
    assert_eq!(
        (&ann["email"], &ann["first_name"]),
        (&"ann@shop.example.com".into(), &"Ann".into())
    );
    assert_eq!((&ann["attributes"]["size"], &ann["display_name"]), (&"38".into(), &"Annie".into()));
    assert_eq!(ann["title"], serde_json::Value::Null);
    // One that fills the same field takes its place.
    assert!(map(&["Title=first_name"]).status.success());
    assert_eq!(customers(&client)[0]["first_name"], "x");
    for (wrong, why) in [("Nick=email", "has no column `Nick`"), ("Nick=", "has no column `Nick`")]
    {
        let (_, err) = said(&map(&[wrong]));
        assert!(err.contains(why), "{err}");
    }
}
