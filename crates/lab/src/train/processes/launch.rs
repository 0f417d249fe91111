//! How a process learns that it is one of several: the variables that launchers set.

use std::sync::Arc;

use super::collectives::{Alone, Collectives};
use crate::error::LabError;

/// A program that starts several processes, and the variables that tell each its number and how many there are.
struct Launcher {
    name: &'static str,
    rank: &'static str,
    size: &'static str,
    /// Whether what it starts finds each other through MPI.
    has_mpi: bool,
}

/// The first one that is found counts: `mpirun` inside of a Slurm job is `mpirun`.
const LAUNCHERS: [Launcher; 4] = [
    Launcher { name: "mpirun", rank: "OMPI_COMM_WORLD_RANK", size: "OMPI_COMM_WORLD_SIZE", has_mpi: true },
    // MPICH, Intel MPI, and Slurm with PMI.
    Launcher { name: "mpiexec", rank: "PMI_RANK", size: "PMI_SIZE", has_mpi: true },
    // A batch script has the number of tasks, too, but no step: it is one process.
    Launcher { name: "srun", rank: "SLURM_PROCID", size: "SLURM_STEP_NUM_TASKS", has_mpi: true },
    Launcher { name: "torchrun", rank: "RANK", size: "WORLD_SIZE", has_mpi: false },
];

/// What a launcher says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Started {
    by: &'static str,
    rank: usize,
    size: usize,
    has_mpi: bool,
}

/// This process among those of a run.
pub struct Launch {
    /// All of them.
    pub processes: Arc<dyn Collectives>,
    /// Processes that share the cores of this one, itself among them.
    pub sharing: usize,
}

impl Launch {
    /// A process that works by itself.
    pub fn alone() -> Self {
        Launch { processes: Arc::new(Alone), sharing: 1 }
    }
}

/// Takes part in the run that a launcher has started; a process that no launcher has started is alone. To be called in
/// the main thread, which must drop the result, too.
///
/// # Errors
/// [`LabError::Caller`] when this is one of several processes and they cannot find each other: each would train by
/// itself, in one folder.
pub fn launch() -> Result<Launch, LabError> {
    match started(&|name| std::env::var(name).ok()) {
        Some(started) => join(&started),
        None => Ok(Launch::alone()),
    }
}

/// What the first launcher says that has set its variables; `None` where one process is all.
fn started(variable: &dyn Fn(&str) -> Option<String>) -> Option<Started> {
    let number = |name: &str| variable(name)?.trim().parse::<usize>().ok();
    let found = LAUNCHERS.iter().find_map(|launcher| {
        let (rank, size) = (number(launcher.rank)?, number(launcher.size)?);
        Some(Started { by: launcher.name, rank, size, has_mpi: launcher.has_mpi })
    });
    found.filter(|started| started.size > 1)
}

impl Started {
    /// An error of this process, with what would help.
    fn refused(&self, why: &str) -> LabError {
        let Started { by, rank, size, .. } = self;
        LabError::Caller(format!("started as process {rank} of {size} by {by}, but {why}"))
    }

    /// Refuses a launcher that does not connect the processes.
    fn check(&self) -> Result<(), LabError> {
        if self.has_mpi {
            return Ok(());
        }
        Err(self.refused("processes find each other through MPI: start them with mpirun or srun"))
    }
}

#[cfg(not(feature = "mpi"))]
fn join(started: &Started) -> Result<Launch, LabError> {
    started.check()?;
    Err(started.refused("this program was built without MPI (cargo's feature `mpi`): each would train by itself"))
}

#[cfg(feature = "mpi")]
fn join(started: &Started) -> Result<Launch, LabError> {
    started.check()?;
    let joined = super::message_passing::MpiProcesses::join()?;
    if joined.size() != started.size {
        let (size, other) = (joined.size(), "`srun --mpi=pmix`, or mpirun of the MPI that the program was built with");
        let why = format!("MPI finds {size} process: each would train by itself; start them with {other}");
        return Err(started.refused(&why));
    }
    let place = joined.place();
    let sharing = joined.gather(place.as_bytes())?.iter().filter(|other| *other == place.as_bytes()).count();
    Ok(Launch { processes: Arc::new(joined), sharing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<(&'static str, usize, usize)> {
        let value = |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| value.to_string());
        started(&value).map(|started| (started.by, started.rank, started.size))
    }

    #[test]
    fn launchers_are_told_by_their_variables() {
        let slurm = [("SLURM_PROCID", "3"), ("SLURM_STEP_NUM_TASKS", "4"), ("SLURM_NTASKS", "4")];
        let open_mpi = [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "2")];
        assert_eq!(of(&open_mpi), Some(("mpirun", 1, 2)));
        assert_eq!(of(&slurm), Some(("srun", 3, 4)));
        assert_eq!(of(&[&slurm[..], &open_mpi[..]].concat()), Some(("mpirun", 1, 2)));
        assert_eq!(of(&[("PMI_RANK", "0"), ("PMI_SIZE", "8")]), Some(("mpiexec", 0, 8)));
        assert_eq!(of(&[("RANK", "1"), ("WORLD_SIZE", "2")]), Some(("torchrun", 1, 2)));
    }

    #[test]
    fn one_process_and_half_said_numbers_are_no_launcher() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "1")]), None);
        assert_eq!(of(&[("RANK", "captain"), ("WORLD_SIZE", "2")]), None);
        // The batch script of a job of four tasks is one process.
        assert_eq!(of(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]), None);
    }

    #[test]
    fn a_launcher_without_mpi_is_refused_with_what_would_help() {
        let text = Started { by: "torchrun", rank: 1, size: 2, has_mpi: false }.check().unwrap_err().to_string();
        assert!(
            text.starts_with("started as process 1 of 2 by torchrun") && text.ends_with("mpirun or srun"),
            "{text}"
        );
    }
}
