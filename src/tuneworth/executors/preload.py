"""What every worker needs, loaded by the process that they are forked from."""

from transformers import AutoModelForSequenceClassification as AutoModelForSequenceClassification

from tuneworth import trial as trial
from tuneworth.executors.settle import settle

settle()
