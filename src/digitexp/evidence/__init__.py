"""What recorded runs support: ranked, compared, and held against what others reported. No pages, no pictures."""
