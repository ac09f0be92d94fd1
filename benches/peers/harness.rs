use rustix::time::{ClockId, clock_gettime};

/// One case: ours, and the peers that do the same work on the same input.
pub(crate) struct Case {
    area: &'static str,
    name: String,
    runners: Vec<Runner>,
}

struct Runner {
    name: &'static str,
    run: Box<dyn FnMut()>,
    iterations: u64,
    samples_ns: Vec<f64>,
}

impl Case {
    pub(crate) fn new(area: &'static str, name: &str, ours: impl FnMut() + 'static) -> Self {
        let case = Self { area, name: name.to_owned(), runners: Vec::new() };
        case.peer("ours", ours)
    }

    pub(crate) fn peer(mut self, name: &'static str, run: impl FnMut() + 'static) -> Self {
        self.runners.push(Runner {
            name,
            run: Box::new(run),
            iterations: 1,
            samples_ns: Vec::new(),
        });
        self
    }

    /// Runs all of them in turn, so that a slow moment of the machine strikes each alike, and
    /// prints a line a peer.
    pub(crate) fn run(mut self) {
        let quick = std::env::var_os("QUICK").is_some();
        let (rounds, batch_ns) = if quick { (9, 2_000_000) } else { (31, 5_000_000) };
        for runner in &mut self.runners {
            runner.calibrate(batch_ns);
        }
        for _ in 0..rounds {
            for runner in &mut self.runners {
                runner.sample();
            }
        }
        let mut figures = self.runners.iter_mut().map(|r| (r.name, r.median_ns()));
        let Some((_, ours_ns)) = figures.next() else { return };
        for (peer, peer_ns) in figures {
            let ratio = peer_ns / ours_ns;
            println!("{},{},{ours_ns:.1},{peer},{peer_ns:.1},{ratio:.2}", self.area, self.name);
        }
    }
}

impl Runner {
    /// Finds how often to run for a batch of about `batch_ns`.
    fn calibrate(&mut self, batch_ns: u64) {
        loop {
            let elapsed_ns = self.batch_ns();
            if elapsed_ns > batch_ns / 4 {
                let scaled = self.iterations as f64 * batch_ns as f64 / elapsed_ns as f64;
                self.iterations = (scaled as u64).max(1);
                return;
            }
            self.iterations *= 4;
        }
    }

    fn sample(&mut self) {
        let elapsed_ns = self.batch_ns();
        self.samples_ns.push(elapsed_ns as f64 / self.iterations as f64);
    }

    fn batch_ns(&mut self) -> u64 {
        let begun = thread_cpu_ns();
        for _ in 0..self.iterations {
            (self.run)();
        }
        thread_cpu_ns() - begun
    }

    fn median_ns(&mut self) -> f64 {
        self.samples_ns.sort_by(f64::total_cmp);
        self.samples_ns[self.samples_ns.len() / 2]
    }
}

/// The thread's CPU time: a batch that is pre-empted is not charged for it.
pub(crate) fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
