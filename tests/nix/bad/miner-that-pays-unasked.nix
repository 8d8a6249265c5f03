{
  base = "full";
  message = "spends money at every run";
  change =
    { lib, ... }:
    {
      services.hlhft.miner.acceptCosts = lib.mkForce false;
    };
}
