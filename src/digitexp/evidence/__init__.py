"""What recorded runs support: ranked, compared, and held against what others reported. No words, no pictures."""
