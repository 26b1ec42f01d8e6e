"""What a modality is about, in the words in which studies are summed up."""

DOMAINS = {
    "audio": "sound",
    "calcium": "brain",
    "ecog": "brain",
    "eeg": "brain",
    "emg": "brain",
    "fmri": "brain",
    "ieeg": "brain",
    "image": "vision",
    "lfp": "brain",
    "pose": "behaviour",
    "spikes": "brain",
    "text": "language",
    "trajectory": "robotics",
    "ultrasonic": "sound",
    "video": "vision",
    "vocalization": "sound",
}
