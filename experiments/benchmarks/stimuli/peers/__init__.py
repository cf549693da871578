"""Others' packages behind `Searcher`, one module each; a package is imported when its method is first made."""
