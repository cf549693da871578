function response = measure(file)
%MEASURE  Shows an image and returns the response, NaN where there was none.
%
%   This one is for rehearsals: the image goes to a simulated neuron (python -m experiments.rig_http.neuron), by curl.
%   A rig's own shows imread(file), counts spikes, and returns how many.

    neuron = getenv('NEURON');
    if isempty(neuron), neuron = 'http://127.0.0.1:8701'; end
    [failed, said] = system(sprintf('curl -sSf --max-time 60 --data-binary "@%s" %s', file, neuron));
    if failed, error('rig:measure', 'the neuron does not answer: %s', said); end
    response = str2double(said); % NaN for `lost`
end
