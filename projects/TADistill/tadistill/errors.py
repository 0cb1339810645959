"""The one kind of error that is the user's to mend."""


class ConfigError(ValueError):
    """A config key, a file or an argument is wrong; the message names it, says what was found and
    what to do. ``train_net.py`` prints it without a traceback.
    """
