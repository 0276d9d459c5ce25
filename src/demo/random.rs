//! Chance that repeats itself: the same seed always tells the same day.

/// `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014): tiny, and good enough for telling stories.
/// Whole numbers only, so every machine draws the same.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// One independent stream per topic, so that a change in one story leaves the others alone.
    pub fn new(seed: u64, topic: &str) -> Self {
        // FNV-1a turns the topic into a number.
        let hash = topic.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let start = Self(seed).draw() ^ hash;
        Self(start)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `n - 1`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.draw()) * n as u128) >> 64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as usize) as i64
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of them, each as likely as the other. The list must not be empty.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Twelve hexadecimal digits, for ids that a browser would make up.
    pub fn code(&mut self) -> String {
        format!("{:012x}", self.draw() >> 16)
    }
}
