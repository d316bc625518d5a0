//! What commands print. Whoever has read enough may close the pipe, as `| head` does: the rest is passed over quietly then, where
//! `println!` would panic, and the command ends as it would have.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process;

use crate::exit::CALL_FAILED;

/// Prints a text and ends its line. Ends the process with exit code 1 if it cannot be written though somebody reads.
pub fn line(text: impl Display) {
    offer(text);
}

/// As [`line()`], without ending the line.
pub fn text(text: impl Display) {
    write(&text);
}

/// As [`line()`]; whether anybody still reads. For whoever would go on for ever.
pub fn offer(text: impl Display) -> bool {
    write(&format_args!("{text}\n"))
}

fn write(text: &impl Display) -> bool {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => false,
        Err(error) => {
            eprintln!("error: the answer cannot be written: {error}");
            process::exit(CALL_FAILED.into());
        }
    }
}
