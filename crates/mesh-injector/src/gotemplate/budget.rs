//! What one run of templates may use. A template that asks for more fails; nothing it can say takes longer.

/// Actions, function calls, and values walked over.
const STEPS: u32 = 200_000;
/// Bytes of all texts and lists that are made, also those that are thrown away.
const BYTES: usize = 16 << 20;
/// Bytes of the text that comes out; Kubernetes takes no object beyond 1.5 MiB.
pub(super) const OUTPUT_BYTES: usize = 1 << 20;
/// Blocks, called templates and parentheses within each other.
pub(super) const DEPTH: usize = 40;

/// What is left of what a run may use. Several runs may share one.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: u32,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            steps: STEPS,
            bytes: BYTES,
        }
    }
}

impl Budget {
    /// Takes one step.
    pub(super) fn step(&mut self) -> Result<(), String> {
        self.steps(1)
    }

    /// Takes `count` steps.
    pub(super) fn steps(&mut self, count: u32) -> Result<(), String> {
        self.steps = self.steps.checked_sub(count).ok_or_else(|| {
            format!("more than {STEPS} steps; does a loop or a template repeat itself?")
        })?;
        Ok(())
    }

    /// Makes something of so many bytes. To be asked before it is made.
    pub(super) fn make(&mut self, bytes: usize) -> Result<(), String> {
        self.step()?;
        self.bytes = self
            .bytes
            .checked_sub(bytes)
            .ok_or_else(|| format!("more than {BYTES} bytes are made"))?;
        Ok(())
    }
}
