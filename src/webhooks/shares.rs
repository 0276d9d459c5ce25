//! Who may have how many of something that there is only so much of.

use std::collections::HashMap;

use crate::db::WorkspaceId;

/// Places that workspaces share. One may have at most as many as it leaves free: half of all where it is
/// alone, a quarter of them beside one that has its half. So a few that are slow never have all, and
/// whoever comes finds some.
#[derive(Debug)]
pub struct Shares {
    all: usize,
    taken: usize,
    by_workspace: HashMap<WorkspaceId, usize>,
}

impl Shares {
    pub fn of(all: usize) -> Self {
        Self { all, taken: 0, by_workspace: HashMap::new() }
    }

    pub fn taken(&self) -> usize {
        self.taken
    }

    /// How many more a workspace may take now.
    pub fn room(&self, workspace: WorkspaceId) -> usize {
        let own = self.by_workspace.get(&workspace).copied().unwrap_or(0);
        (self.all - self.taken).saturating_sub(own).div_ceil(2)
    }

    pub fn take(&mut self, workspace: WorkspaceId) {
        self.taken += 1;
        *self.by_workspace.entry(workspace).or_default() += 1;
    }

    pub fn give_back(&mut self, workspace: WorkspaceId) {
        if let Some(own) = self.by_workspace.get_mut(&workspace) {
            *own -= 1;
            self.taken -= 1;
            if *own == 0 {
                self.by_workspace.remove(&workspace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Takes all that a workspace gets.
    fn greedy(shares: &mut Shares, workspace: WorkspaceId) -> usize {
        let mut had = 0;
        while shares.room(workspace) > 0 {
            shares.take(workspace);
            had += 1;
        }
        had
    }

    #[test]
    fn a_workspace_never_has_more_than_it_leaves_free() {
        let mut shares = Shares::of(128);
        let ids: Vec<_> = (0..8_u128).map(|n| WorkspaceId::trusted(Uuid::from_u128(n))).collect();
        assert_eq!(shares.room(ids[0]), 64, "all of it at once");
        let had: Vec<usize> = ids.iter().map(|id| greedy(&mut shares, *id)).collect();
        assert_eq!(had, [64, 32, 16, 8, 4, 2, 1, 1]);
        assert_eq!((shares.taken(), shares.room(ids[7])), (128, 0));
    }

    #[test]
    fn what_is_given_back_goes_to_who_has_least() {
        let mut shares = Shares::of(4);
        let [a, b, c] = [1, 2, 3].map(|n| WorkspaceId::trusted(Uuid::from_u128(n)));
        assert_eq!((greedy(&mut shares, a), greedy(&mut shares, b)), (2, 1));
        assert_eq!(greedy(&mut shares, c), 1);
        shares.give_back(a);
        assert_eq!((shares.room(a), shares.room(b)), (0, 0));
        shares.give_back(c);
        assert_eq!((shares.room(c), shares.taken()), (1, 2));
        shares.give_back(c);
        assert_eq!(shares.taken(), 2, "what nobody has is not given back");
    }
}
