//! This program in its other roles, and what a process has used.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context as _, bail};

/// Ticks of processor time a second in `/proc`: fixed on Linux, whatever the kernel's own clock does.
const TICKS: f64 = 100.0;

/// One line for whoever started this process.
#[expect(clippy::print_stdout, reason = "the lines on standard output are what the program is for")]
pub fn say(line: &str) {
    println!("{line}");
    drop(io::stdout().flush());
}

/// One line for people.
#[expect(clippy::print_stderr, reason = "a program of its own, without a log")]
pub fn tell(line: &str) {
    eprintln!("{line}");
}

/// A process of this program in some role; ended and reaped when dropped.
#[derive(Debug)]
pub struct Role {
    child: Child,
    _alive: Option<ChildStdin>,
}

impl Role {
    /// Starts it, and gives the first line that it says.
    pub fn start(arguments: &[String]) -> anyhow::Result<(Self, String)> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (alive, stdout) = (child.stdin.take(), child.stdout.take());
        let role = Self { child, _alive: alive };
        let mut line = String::new();
        BufReader::new(stdout.context("no standard output")?).read_line(&mut line)?;
        if line.is_empty() {
            bail!("the process for `{}` said nothing", arguments.first().map_or("", String::as_str));
        }
        Ok((role, line.trim().to_owned()))
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The most memory that this process has held at a time, in MB; `None` where there is no `/proc`.
pub fn peak_rss_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Processor time that this process has used, its own and the kernel's for it; `None` where there is no `/proc`.
pub fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold blanks; after it `utime` and `stime` are the twelfth and thirteenth.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / TICKS)
}

/// The machine's load of the last minute: what else was going on.
pub fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
