"""The console command ``monai-proto``: a module a command, none of which imports anything heavy before it is run."""
