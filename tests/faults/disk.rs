//! The disk is full: reads go on, writes are refused in clear words, and come back with the room.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::postgres::Postgres;
use crate::promise::{TO_RECOVER, kept};
use crate::stage::Stage;

/// A file system of 16 MiB that Postgres may use.
struct Room(PathBuf);

impl Room {
    /// Nothing where mounting is not allowed.
    fn mount() -> Option<Self> {
        let postgres = Postgres::lock();
        let owner = fs::metadata(postgres.cluster()?).ok()?;
        let folder = postgres.folder().join("room");
        fs::create_dir_all(&folder).expect("a folder");
        let options = format!("size=16m,mode=700,uid={},gid={}", owner.uid(), owner.gid());
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success()).then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// Takes what is left; the file gives it back when it is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut filler = File::create(&path).expect("a file");
        let piece = vec![0; 4096];
        while filler.write_all(&piece).is_ok() {}
        path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "the room stays mounted");
    }
}

#[test]
fn a_full_disk_is_named_and_stops_no_reader() {
    let Some(room) = Room::mount() else {
        println!("skipped: mounting a small file system is not allowed here");
        return;
    };
    let stage = Stage::new();
    let location = room.path().display();
    stage.execute(&format!("create tablespace faults_room location '{location}'"));
    stage.execute("alter table customers set tablespace faults_room");
    let filler = room.fill();
    let refused = (0..500).map(|_| stage.mark()).find(|mark| stage.store(mark).status != 201);
    let refused = refused.expect("a write that finds no room");
    for _ in 0..5 {
        stage.store(&refused).expect_503("storage_full");
        stage.read().expect(200);
    }
    stage.client.get("/health/ready").expect(200);
    assert_eq!(stage.stored(&refused), 0);
    fs::remove_file(filler).expect("removed");
    kept(&[stage.recovery(Instant::now())], TO_RECOVER);
    assert!(!stage.store(&refused).expect(201).is_replay());
    stage.audit();
    stage.execute("alter table customers set tablespace pg_default");
    stage.execute("drop tablespace faults_room");
}
