"""Search: KerasTuner proposes trials, the loop asks for them and tells what they gave. Knows nothing of training."""
