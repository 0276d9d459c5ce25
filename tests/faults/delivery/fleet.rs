//! The processes, and what is done to them.

use std::thread;
use std::time::Duration;

use crate::client::Client;
use crate::kill::Random;
use crate::postgres::{End, Postgres};
use crate::service::Service;

const EACH: usize = 4;

/// Services that leave the work to workers, and these.
pub struct Fleet {
    services: Vec<Service>,
    workers: Vec<Service>,
}

impl Fleet {
    pub fn start(postgres: &Postgres, url: &str) -> Self {
        let settings =
            [("ECRM_POOL_SIZE", "4"), ("ECRM_RUN_JOBS", "0"), ("ECRM_WEBHOOK_ALLOW_PRIVATE", "1")];
        let start = |mode, settings: &[_]| {
            (0..EACH)
                .map(|_| Service::start_as(mode, postgres.folder(), url, settings))
                .collect::<Vec<_>>()
        };
        let services = start("serve", &settings);
        Self { services, workers: start("worker", &[settings[0], settings[2]]) }
    }

    /// A caller of each service.
    pub fn clients(&self, postgres: &Postgres) -> Vec<Client> {
        let caller = |service: &Service| Client::new(&service.base(), Some(&postgres.key));
        self.services.iter().map(caller).collect()
    }
}

/// How often what was killed.
#[derive(Debug, Default)]
pub struct Kills {
    service: usize,
    worker: usize,
    postgres_killed: usize,
    postgres_immediate: usize,
    all: usize,
}

impl Kills {
    pub fn total(&self) -> usize {
        self.service + self.worker + self.postgres_killed + self.postgres_immediate + self.all
    }

    /// Kills something and starts it again; each kind comes before chance decides.
    pub fn one(&mut self, random: &mut Random, fleet: &mut Fleet, postgres: &Postgres) {
        let kind = if self.total() < 5 { self.total() as u64 } else { random.below(5) };
        let mut any = || usize::try_from(random.below(EACH as u64)).expect("a small number");
        match kind {
            0 => {
                self.service += 1;
                fleet.services[any()].kill_and_restart();
            }
            1 => {
                self.worker += 1;
                fleet.workers[any()].kill_and_restart();
            }
            2 => {
                self.postgres_killed += 1;
                restart(postgres, End::Killed, random);
            }
            3 => {
                self.postgres_immediate += 1;
                restart(postgres, End::Immediate, random);
            }
            _ => {
                self.all += 1;
                postgres.end(End::Killed);
                let processes = fleet.services.iter_mut().chain(&mut fleet.workers);
                processes.for_each(Service::kill_and_restart);
                postgres.start();
            }
        }
    }
}

fn restart(postgres: &Postgres, end: End, random: &mut Random) {
    postgres.end(end);
    thread::sleep(Duration::from_millis(random.below(500)));
    postgres.start();
}
