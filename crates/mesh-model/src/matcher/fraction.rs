//! Shares of all requests.

/// A share of all requests (Envoy `FractionalPercent`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fraction {
    /// So many.
    pub numerator: u32,
    /// Of so many.
    pub per: FractionOf,
}

/// What a share is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FractionOf {
    /// Percent.
    #[default]
    Hundred,
    /// Hundredths of a percent.
    TenThousand,
    /// Millionths.
    Million,
}

impl FractionOf {
    /// The whole.
    pub fn get(self) -> u32 {
        match self {
            Self::Hundred => 100,
            Self::TenThousand => 10_000,
            Self::Million => 1_000_000,
        }
    }
}

impl Fraction {
    /// Whether a request that drew `random` is among them. More than the whole is all.
    pub fn contains(self, random: u64) -> bool {
        random % u64::from(self.per.get()) < u64::from(self.numerator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_it_says() {
        for (numerator, per, of, want) in [
            (0, FractionOf::Hundred, 1000, 0),
            (25, FractionOf::Hundred, 1000, 250),
            (1, FractionOf::TenThousand, 20_000, 2),
            (200, FractionOf::Hundred, 1000, 1000),
        ] {
            let fraction = Fraction { numerator, per };
            let taken = (0..of).filter(|random| fraction.contains(*random)).count();
            assert_eq!(taken, want, "{fraction:?}");
        }
    }
}
