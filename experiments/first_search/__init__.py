"""How often a search finds a stimulus that excites a unit more than every natural test image does."""
